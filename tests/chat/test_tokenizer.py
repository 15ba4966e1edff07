from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_world import toy_tokenizer

from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError


def test_a_folder_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"^model path /no/such/folder does not exist: give the folder of "):
        load_tokenizer("/no/such/folder")


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=rf"^model.path={tmp_path} is not a folder with a readable tokenizer \("):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", {"model": {"type": "Nothing"}}),
        ("tokenizer.json", {"normalizer": {"type": "Nothing"}}),
        ("tokenizer.json", {"added_tokens": 3}),
        ("tokenizer_config.json", {"eos_token": 5}),
        ("tokenizer_config.json", {"chat_template": [1]}),
    ],
)
def test_a_broken_tokenizer_file_is_refused_in_one_line(tmp_path: Path, file: str, content: dict[str, object]):
    toy_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    written = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    (tmp_path / file).write_text(json.dumps(written | content), encoding="utf-8")
    with pytest.raises(UserError, match="is not a folder with a readable tokenizer") as error:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(error.value)
