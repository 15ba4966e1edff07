"""A person as the agent: what the terminal prints for what is typed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from envtune.chat.protocol import parse
from envtune.commands.play import Terminal, find_task, split_calls
from envtune.environment import PythonEnvironment, Rule, Task, UserTurn, call
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import NEXT_MESSAGE, Episode
from envtune.errors import UserError


class Lamp:
    """A lamp."""

    def __init__(self, lit: bool = False) -> None:
        self.lit = lit

    def switch(self, on: bool) -> str:
        """Switch the lamp. It takes a moment.

        Args:
            on: Whether it should be lit.
        """
        if on == self.lit:
            raise ValueError("no change")
        self.lit = on
        return "switched"

    def look(self, word: str = "lamp") -> str:
        """Look at the lamp.

        Args:
            word: What to look for.
        """
        return f"{word} lit" if self.lit else f"{word} dark"


LAMP = PythonEnvironment(Lamp, [Rule("lamp.same", "switch", "no change", "It is so already.", "`look` shows it.")])
TURNS = (
    UserTurn("Light it.", (call("switch", on=True),)),
    UserTurn("Is it lit?", (call("look"),)),
    UserTurn("And now?"),
)
TASK = Task("lamp_0", "base", {}, TURNS, LAMP.documents)


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str, step_limit: int = 5) -> str:
    """What is printed when these lines are typed, and then the end of the input."""
    waiting: Iterator[str] = iter(lines)

    def read(prompt: str) -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    printed = io.StringIO()
    console = Console(file=printed, width=80, highlight=False)
    Terminal(console, TASK).play(Episode(LAMP, TASK, parse, Actionable().for_episode(LAMP, TASK, 0), step_limit))
    return printed.getvalue()


def test_a_task_played_right_is_a_success(monkeypatch: pytest.MonkeyPatch):
    printed = typed(monkeypatch, "switch(on=True)", "It is on.", 'look("lamp"); look()', "Yes.", "Nothing.")
    assert "  switch(on: bool): Switch the lamp." in printed
    assert "user: Light it." in printed
    assert "[2] look: lamp lit" in printed
    assert printed.count("turn passed") == 3
    assert printed.endswith("success: 3 of 3 turns passed, progress 1.00\n")


def test_a_failed_call_prints_its_hint_and_a_failed_turn_its_ground_truth(monkeypatch: pytest.MonkeyPatch):
    printed = typed(monkeypatch, "switch(on=False)", "I could not.", "")
    assert "[1] switch: Error during execution: no change\nHint: It is so already. `look` shows it.\n" in printed
    assert "turn failed: state wrong, results missing\n  ground truth: switch(on=True)\n" in printed
    assert printed.endswith("no success: 0 of 3 turns passed, progress 0.00\n")


def test_at_the_step_limit_the_verdict_is_printed_and_the_next_message_follows(monkeypatch: pytest.MonkeyPatch):
    printed = typed(monkeypatch, "look()", "look()", "look()", "It is dark.", "", step_limit=1)
    verdict = "turn failed: state wrong, results missing\n  ground truth: switch(on=True)\n"
    assert f"{verdict}[1] look: lamp dark\n\n{NEXT_MESSAGE}\nIs it lit?\n[1] look: lamp dark\nturn failed" in printed


def test_what_is_not_a_call_prints_why_and_costs_no_step(monkeypatch: pytest.MonkeyPatch):
    printed = typed(monkeypatch, "switch(on=maybe)", "switch(True, 3)", "?switch", "?", "switch(on=True)", "Done.")
    assert "an argument of 'switch' is not a literal value" in printed
    assert "'switch' takes 1 arguments at most, not 2" in printed
    assert '"description": "Whether it should be lit."' in printed.replace("\n", " ")
    assert "turn passed" in printed


def test_semicolons_divide_calls_except_in_quoted_texts():
    assert split_calls("""a(x="1; 2"); b(y='"; ') ;""") == ['a(x="1; 2")', """b(y='"; ')"""]


def test_names_of_tools_and_parameters_are_completed():
    terminal = Terminal(Console(), TASK, {tool.name: tool for tool in LAMP.documents})
    assert list(terminal.completions("l")) == ["look("]
    assert list(terminal.completions("")) == ["switch(", "look(", "on=", "word="]


class OneTask:
    """A source of one task."""

    def tasks(self, split: str) -> tuple[Task, ...]:
        return (TASK,)

    def describe(self) -> dict[str, str]:
        return {}


def test_a_task_is_found_by_number_or_id_or_refused_in_one_sentence():
    assert find_task(OneTask(), "train", 0) is find_task(OneTask(), "train", "lamp_0") is TASK
    with pytest.raises(UserError, match="task=1: the split train has 1 tasks, numbered from 0"):
        find_task(OneTask(), "train", 1)
    with pytest.raises(UserError, match=r"task=lamp_1 is not the id of one of the first .* or an id such as lamp_0"):
        find_task(OneTask(), "train", "lamp_1")
