"""What is written in Hydra's grammar is read back as it stood, whatever the characters."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Sequence

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envtune.command_line.override_grammar import (
    parse_override,
    quote_paths,
    quote_value,
    shell_quoted,
    unquote,
    value_of,
)
from envtune.command_line.search_path import CONFIG_FOLDER
from envtune.errors import UserError

# Any text that can be the name of a file, with what the two grammars give a meaning drawn more often.
SPECIAL = st.sampled_from(["'", '"', "\\", "$", "{", "}", "${", "${seed}", "=", ",", " ", "[", "(", "-", "\n", "~"])
CHARACTER = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
NAMES = st.lists(SPECIAL | CHARACTER, max_size=12).map("".join).filter(lambda name: name != "???")


@pytest.fixture(autouse=True, scope="module")
def composing() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        yield


def composed(names: Sequence[str]) -> list[str]:
    overrides = [f"+value_{place}={quote_value(name)}" for place, name in enumerate(names)]
    config = hydra.compose(overrides=overrides)
    return [config[f"value_{place}"] for place in range(len(names))]


# Composing takes a while, so many at once.
@settings(max_examples=20)
@given(st.lists(NAMES, min_size=5, max_size=20))
@example(["\\${seed}\\\\${seed}\\", "o'brien\\'", "null", "1e-5", "", "lr=1e-5", "it's", "x${seed}"])
def test_a_quoted_value_is_composed_to_the_very_text(names: list[str]):
    assert composed(names) == names


@given(NAMES)
def test_a_value_is_read_back_as_it_was_quoted(name: str):
    if "${" not in name:
        assert value_of("results", ["results=a", f"results={quote_value(name)}", "result=b"]) == name


@given(NAMES)
def test_what_is_shown_is_printable_and_pasted_as_it_was(name: str):
    shown = shell_quoted([f"a={name}", "b=1"])
    assert shown.isprintable()
    if name.isprintable():
        assert shlex.split(shown) == [f"a={name}", "b=1"]


def test_what_is_shown_by_its_codes_is_pasted_into_bash_as_it_was():
    text = "a\x1b[2J\n'é\\n\u202e\\\U0001f600"
    command = ["bash", "-c", f"printf %s {shell_quoted([text])}"]
    shown = subprocess.run(command, capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True).stdout
    assert shown.decode() == text


def test_a_path_that_hydra_refuses_is_quoted_and_every_other_argument_left_alone():
    left = ["ckpt_path=runs/a", "init_from='it\\'s'", "init_from=a,b", "hydra.run.dir=runs/${seed}", "tags=[a'b]", "-m"]
    assert quote_paths(left) == left
    for path in ("runs/o'brien", "lr=1e-5", "[1", "a, b=c", "ä"):
        for name in ("ckpt_path", "init_from", "hydra.run.dir", "model.path"):
            (argument,) = quote_paths([f"{name}={path}"])
            assert parse_override(argument).value() == path
    # As Lightning writes it for the processes that it starts.
    for path in ('a"b', "a b\\"):
        (argument,) = quote_paths([f'hydra.run.dir="{path}"'])
        assert parse_override(argument).value() == path


def test_a_value_of_which_hydra_makes_something_else_is_refused():
    with pytest.raises(
        UserError, match=r"^a value of \?\?\? stands for a missing one: give another, of a path \./\?\?\?$"
    ):
        quote_value("???")
    assert composed(["./???"]) == ["./???"]
    with pytest.raises(UserError, match=r"^ckpt_path='runs/\\udcff' is not valid UTF-8: rename it$"):
        quote_paths(["ckpt_path=runs/\udcff"])


@pytest.mark.parametrize(
    ("value", "text"), [("'a b'", "a b"), ('"it\'s"', "it's"), ("it's", "it's"), ("'a','b'", "'a','b'")]
)
def test_only_whole_quotes_are_taken_off(value: str, text: str):
    assert unquote(value) == text
