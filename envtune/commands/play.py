"""Be the agent in the terminal: `envtune-play environment=module environment.module=library`.

Read what the agent reads, call tools, answer, and see the verdict on each turn. A line is a call, such as
`search(word="dune")` or several with `;` between them, or the answer that ends the turn. Tab completes the names of
tools and parameters. `?` prints the tools, `?search` one of them; Ctrl-D leaves.

In a clone `python tools/play.py` is the same command.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import envtune.process_start

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape

from envtune.call_text import parse_call, render_call
from envtune.chat.prompt import compact_document, full_document
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.checked import Count, Seed, checked
from envtune.command_line.command import command
from envtune.environment.episode import AtStepLimit, Episode
from envtune.environment.interface import TaskSource
from envtune.errors import UserError
from envtune.report_text import without_control
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import Trajectory, Turn

# The playground generates a million tasks, each when it is read.
SEARCHED_TASKS = 2_000
HELP = "A line is a call or the answer. ? lists the tools, ?NAME shows one, Tab completes, Ctrl-D leaves."


@checked
def require_valid_play(split: str, task: int | str, step_limit: Count, at_step_limit: AtStepLimit, seed: Seed) -> None:
    """Raise UserError for a setting that is not allowed."""


def require_valid_settings(config: DictConfig) -> None:
    """Validate the settings at the top of conf/play.yaml."""
    require_valid_play(config.split, config.task, config.step_limit, config.at_step_limit, config.seed)


@command("play", require_valid_settings, records=False)
def play(config: DictConfig) -> None:
    """Play one task with a person as the agent."""
    environment, augmentation = instantiate(config.environment), instantiate(config.augmentation)
    task = find_task(instantiate(config.data, _convert_="all"), config.split, config.task)
    hints = augmentation.for_episode(environment, task, config.seed)
    episode = Episode(environment, task, parse, hints, config.step_limit, config.at_step_limit)
    Terminal(Console(highlight=False), task).play(episode)


def find_task(source: TaskSource, split: str, name: int | str) -> Task:
    """Return a task by its number or id.

    Raises:
        UserError: the split does not have the task.
    """
    tasks = source.tasks(split)  # type: ignore[arg-type]
    if isinstance(name, int):
        if not 0 <= name < len(tasks):
            raise UserError(f"task={name}: the split {split} has {len(tasks)} tasks, numbered from 0")
        return tasks[name]
    for task in itertools.islice(tasks, SEARCHED_TASKS):
        if task.id == name:
            return task
    raise UserError(
        f"task={name} is not the id of one of the first {SEARCHED_TASKS} tasks of the split {split}: give its number, "
        f"or an id such as {tasks[0].id}"
    )


@dataclass
class Terminal:
    """The dialogue with the person."""

    console: Console
    task: Task
    tools: dict[str, ToolDocument] = field(default_factory=dict)
    """Those offered so far, by name."""

    def play(self, episode: Episode) -> None:
        """Play the episode to its end, or to the end of the input."""
        self._complete_names()
        self.console.print(f"[bold]{escape(self.task.id)}[/bold] ({escape(self.task.group)}): {HELP}")
        observation = episode.reset()
        opens_turn = True
        while not observation.done:
            self.tools |= {tool.name: tool for tool in observation.new_tools}
            self._show(observation.text, observation.new_tools, opens_turn)
            try:
                completion = self._completion()
            except (EOFError, KeyboardInterrupt):
                episode.truncate()
                self.console.print()
                break
            turns = len(episode.turns)
            observation = episode.step(completion)
            opens_turn = completion.endswith("</answer>")
            if len(episode.turns) > turns:
                self._show_verdict(episode.turns[-1])
        self._show_outcome(episode.finish())

    def _show(self, text: str, new_tools: Sequence[ToolDocument], opens_turn: bool) -> None:
        for tool in new_tools:
            self.console.print(f"  [cyan]{escape(compact_document(tool))}[/cyan]")
        for line in without_control(text).splitlines():
            style = "yellow" if line.startswith("Hint: ") else "bold green" if opens_turn else ""
            self.console.print(escape(f"{'user: ' if opens_turn else ''}{line}"), style=style)

    def _show_verdict(self, turn: Turn) -> None:
        verdict = turn.verdict
        if verdict.checked is not None:
            reason = f"the check grants {verdict.checked:.0%}"
        elif verdict.expects_answer:
            reason = "an answer without a call is expected"
        else:
            reason = (
                f"state {'right' if verdict.state else 'wrong'}, results {'right' if verdict.response else 'missing'}"
            )
        self.console.print(f"[bold]turn {'passed' if verdict.passed else 'failed'}[/bold]: {reason}")
        if not verdict.passed and turn.ground_truth:
            calls = "; ".join(map(render_call, turn.ground_truth))
            self.console.print(escape(f"  ground truth: {calls}"), style="dim")

    def _show_outcome(self, played: Trajectory) -> None:
        outcome = "success" if played.success else "no success"
        self.console.print(
            f"{outcome}: {played.turns_passed} of {played.turn_count} turns passed, progress {played.progress:.2f}"
        )

    def _completion(self) -> str:
        """Return what the agent would have written for the next line that is a call or an answer."""
        while True:
            line = input("> ").strip()
            if line.startswith("?"):
                self._show_tools(line[1:].strip())
                continue
            if not line:
                continue
            try:
                calls = self._calls(line)
            except ValueError as error:
                self.console.print(escape(str(error)), style="red")
                continue
            return write_calls("", calls) if calls else write_answer("", line)

    def _calls(self, line: str) -> list[ToolCall]:
        """Return the calls in a line; none if it is an answer. A line that begins with a tool and ``(`` has calls."""
        begins_with_tool = line.partition("(")[0].strip().isidentifier() and "(" in line
        if not (begins_with_tool and line.endswith(")")):
            return []
        parameters: Mapping[str, Sequence[str]] = {
            name: tuple(tool.parameters.get("properties", {})) for name, tool in self.tools.items()
        }
        return [parse_call(part, parameters) for part in split_calls(line)]

    def _show_tools(self, name: str) -> None:
        if name in self.tools:
            self.console.print(escape(full_document(self.tools[name])))
            return
        for tool in self.tools.values():
            self.console.print(escape(compact_document(tool)))

    def _complete_names(self) -> None:
        try:
            import readline
        except ImportError:  # not on Windows
            return
        readline.set_completer_delims(" (,;")
        readline.set_completer(lambda text, state: next(itertools.islice(self.completions(text), state, None), None))
        readline.parse_and_bind("tab: complete")

    def completions(self, text: str) -> Iterator[str]:
        """Yield the names of tools and of parameters that begin with a text."""
        names = [f"{name}(" for name in self.tools]
        names += [f"{p}=" for tool in self.tools.values() for p in tool.parameters.get("properties", {})]
        return (name for name in dict.fromkeys(names) if name.startswith(text))


def split_calls(line: str) -> list[str]:
    """Return the parts of a line between the semicolons that are not in a quoted text."""
    parts, quote = [""], ""
    for place, character in enumerate(line):
        if character == ";" and not quote:
            parts.append("")
            continue
        if character in "'\"" and line[place - 1] != "\\":
            quote = "" if quote == character else quote or character
        parts[-1] += character
    return [part for part in map(str.strip, parts) if part]
