"""Over failing calls of all 800 tasks: a hint holds no right value that the agent did not know, and no right call.

A sentence may name a wrong value that the agent wrote, and the next one a tool that can look something up: to put the
two together is left to the agent. No sentence has both a tool and all the arguments with which it should be called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from error_surface import EXAMPLES
from failing_attempts import Attempt, attempts, ground_truth, values_in, written
from test_augmentation_coverage import listed

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.hints import python_errors
from envtune.task import ToolCall

SHORTEST = 3
ENDS_OF_SENTENCES = re.compile(r"(?<=[.;])\s+")
WAYS = {
    *("missing argument", "extra argument", "swapped arguments", "wrong value", "wrong type", "path"),
    *("another call's value", "unknown tool", "too early", "late", "repeated", "not logged in", "wrong directory"),
}


@cache
def _as_word(text: str) -> re.Pattern[str]:
    """The text, not as a part of a longer word, number, path or file name; without a letter or digit, in quotes."""
    if not re.search(r"\w", text):
        return re.compile(rf"(['\"]){re.escape(text)}\1")
    return re.compile(rf"(?<![\w/.-]){re.escape(text)}(?![\w/-]|\.\w)")


@cache
def _inside(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


def told_values(hint: str, secrets: set[str], known: str) -> list[str]:
    """The secrets that the hint tells an agent who knows ``known``."""
    told = [secret for secret in secrets if secret in hint and _inside(secret).search(hint)]
    return [secret for secret in told if not _inside(secret).search(known)]


def told_calls(hint: str, calls: list[ToolCall], made: ToolCall) -> list[ToolCall]:
    """The calls that the hint spells out, in whatever notation, apart from the one that the agent has made itself."""
    sentences = ENDS_OF_SENTENCES.split(hint)
    named = [call for call in calls if call.name in hint and call != made]
    return [call for call in named if any(_spells_out(sentence, call) for sentence in sentences)]


def _spells_out(sentence: str, call: ToolCall) -> bool:
    return bool(_as_word(call.name).search(sentence)) and all(
        any(_as_word(form).search(sentence) for form in forms) for forms in _argument_forms(call.arguments)
    )


def _argument_forms(value: object) -> Iterator[set[str]]:
    """For each text, number or truth value in the arguments, how it may be written."""
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _argument_forms(part)
    else:
        yield {str(value), str(value).lower(), *values_in(value)}


@pytest.fixture(scope="module")
def survey() -> tuple[Counter[str], list[object], set[tuple[str, str]]]:
    """The number of attempts of each way, what their hints leak, and the failures without a hint that nothing lists."""
    counts: Counter[str] = Counter()
    leaks: list[object] = []
    silent: set[tuple[str, str]] = set()
    for task in load_bfcl_tasks():
        # Without arguments, to name a tool is all that a direction can do.
        calls = [call for call in ground_truth(task) if call.arguments]
        secrets = {text for call in calls for text in values_in(call.arguments) if len(text) >= SHORTEST}
        for attempt in attempts(task):
            counts[attempt.way] += 1
            if attempt.hint:
                counts["hints"] += 1
                leaks += [(task.id, attempt.way, leak, attempt.hint.text) for leak in _leaks(attempt, secrets, calls)]
            else:
                silent.add((attempt.result.call.name, attempt.result.text))
    tables = {tool: table for table, tool, *_ in reversed(EXAMPLES)}
    unlisted = {(tool, text) for tool, text in silent if not listed(tables.get(tool, python_errors), text)}
    return counts, leaks, unlisted


def _leaks(attempt: Attempt, secrets: set[str], calls: list[ToolCall]) -> Iterator[object]:
    assert attempt.hint is not None
    text, made = attempt.hint.text, attempt.result.call
    # Most of what a hint names stands in the call that it is about.
    told = told_values(text, secrets, written(made))
    yield from told_values(text, set(told), attempt.known) if told else ()
    yield from told_calls(text, calls, made)


def test_no_hint_tells_a_right_value_or_a_right_call(survey):
    counts, leaks, _ = survey
    assert leaks == []
    assert counts["hints"] > 50_000
    assert set(counts) >= WAYS


def test_every_failure_of_every_task_is_reworded_or_listed(survey):
    assert survey[2] == set()


def test_a_value_is_told_if_the_agent_knows_it_neither_as_a_whole_nor_in_a_path():
    assert told_values("Use RMS.", {"RMS", "CDG"}, "a flight from Rivermist") == ["RMS"]
    assert told_values("It costs 300.", {"300", "300.0"}, "it costs 3000") == ["300"]
    assert told_values("'a/notes.txt' is a path.", {"notes.txt"}, "rm a/notes.txt") == []


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("Try mv(source='a.txt', destination='b').", True),
        ('Try {"name": "mv", "arguments": {"source": "a.txt", "destination": "b"}}.', True),
        ("Try `mv a.txt b`.", True),
        ("With `mv`, move 'a.txt' to 'b'.", True),
        ("'a.txt' cannot go to 'b'. Something else may, with `mv`.", False),
        ("`mv` takes bare names, and 'x/a.txt' is none for 'b'.", False),
        ("`mvn` moves a.txt to b.", False),
    ],
)
def test_a_call_is_told_if_one_sentence_has_its_name_and_all_its_arguments(hint, told):
    call = ToolCall("mv", {"source": "a.txt", "destination": "b"})
    assert told_calls(hint, [call], ToolCall("mv", {"source": "x/a.txt", "destination": "b"})) == [call] * told
    assert told_calls(hint, [call], call) == []
