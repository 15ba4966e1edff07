from __future__ import annotations

import pytest

from envtune.chat.tokenizer import load_tokenizer
from envtune.errors import UserError


def test_a_folder_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"^model.path=/no/such/folder does not exist: give the folder of "):
        load_tokenizer("/no/such/folder")


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=rf"^model.path={tmp_path} is no folder with a readable tokenizer \("):
        load_tokenizer(str(tmp_path))
