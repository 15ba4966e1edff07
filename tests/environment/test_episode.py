from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import Toolbox
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import MORE_TOOLS, NEXT_MESSAGE, AtStepLimit, Episode, Observation
from envtune.task import Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import (
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Hint,
    HintKind,
    ToolCalls,
    ToolResult,
    Trajectory,
    TurnEnd,
    TurnVerdict,
)

MKDIR_A = ToolCall("mkdir", {"dir_name": "a"})
LS = ToolCall("ls", {})
DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in ("mkdir", "ls", "pwd"))
TASK = Task(
    "toy",
    Category.BASE,
    Scenario(0, ("GorillaFileSystem",), {}),
    (UserTurn("Make a.", (MKDIR_A,)), UserTurn("Delete the internet.", ()), UserTurn("What is here?", (LS,))),
    DOCUMENTS,
)
SCRIPT: dict[str, Action] = {
    "mkdir a": ToolCalls("", (MKDIR_A,)),
    "mkdir b": ToolCalls("", (ToolCall("mkdir", {"dir_name": "b"}),)),
    "ls": ToolCalls("", (LS,)),
    "pwd": ToolCalls("", (ToolCall("pwd", {}),)),
    "mkdir a, ls": ToolCalls("", (MKDIR_A, LS)),
    "answer": FinalAnswer("", "Done."),
    "noise": FormatError(FormatFault.NO_THINK, "Think first."),
}
LISTING = '{"current_directory_content": ["a"]}'


class Always:
    """A hint for every failure."""

    def for_episode(self, environment: Any, task: Any, seed: int) -> Always:
        return self

    def shown(self, tool: ToolDocument) -> ToolDocument:
        return tool

    def hint(self, result: ToolResult, toolbox: Toolbox) -> Hint | None:
        return None if result.ok else Hint("test.always", HintKind.CONSTRAINT, f"Look at {result.call.name}.")


def _episode(
    task: Task = TASK, augmentation: Any = None, step_limit: int = 5, at_step_limit: AtStepLimit = "next_turn"
) -> Episode:
    hints = augmentation or NoAugmentation()
    return Episode(BFCL_ENVIRONMENT, task, SCRIPT.__getitem__, hints, step_limit, at_step_limit)


def _play(*completions: str, **settings: Any) -> Trajectory:
    episode = _episode(**settings)
    observation = episode.reset()
    for completion in completions:
        assert not observation.done
        observation = episode.step(completion)
    assert observation.done
    return episode.finish()


def _verdicts(trajectory: Trajectory) -> list[TurnVerdict]:
    return [turn.verdict for turn in trajectory.turns]


def test_a_perfect_episode_is_terminated_and_passes_every_turn() -> None:
    trajectory = _play("mkdir a", "answer", "answer", "ls", "answer")
    assert trajectory.end is EpisodeEnd.TERMINATED
    assert (trajectory.turns_passed, trajectory.progress, trajectory.success) == (3, 1.0, True)
    assert [turn.user_message for turn in trajectory.turns] == ["Make a.", "Delete the internet.", "What is here?"]
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.ANSWERED] * 3
    assert [step.completion for step in trajectory.steps] == ["mkdir a", "answer", "answer", "ls", "answer"]
    assert _verdicts(trajectory) == [
        TurnVerdict(state=True, response=True, called=True, expects_answer=False, answered=True),
        TurnVerdict(state=True, response=True, called=False, expects_answer=True, answered=True),
        TurnVerdict(state=True, response=True, called=True, expects_answer=False, answered=True),
    ]


def test_observations_are_messages_results_and_format_errors() -> None:
    episode = _episode()
    assert episode.reset() == Observation("Make a.", DOCUMENTS, False)
    both = ("None", LISTING)
    assert episode.step("mkdir a, ls") == Observation(f"[1] mkdir: None\n[2] ls: {LISTING}", (), False, both)
    assert episode.step("noise") == Observation("Think first.", (), False)
    assert episode.step("answer") == Observation("Delete the internet.", (), False)
    assert episode.step("answer") == Observation("What is here?", (), False)
    assert episode.step("answer") == Observation("", (), True)
    assert [step.observation for step in episode.finish().steps] == [
        f"[1] mkdir: None\n[2] ls: {LISTING}",
        "Think first.",
        "Delete the internet.",
        "What is here?",
        "",
    ]


def test_the_twin_moves_on_when_the_agent_does_nothing() -> None:
    trajectory = _play("answer", "answer", "ls", "answer")
    assert [verdict.state for verdict in _verdicts(trajectory)] == [False, False, False]
    assert [verdict.response for verdict in _verdicts(trajectory)] == [False, True, False]


def test_a_turn_can_pass_again_after_one_that_failed() -> None:
    trajectory = _play("answer", "answer", "mkdir a, ls", "answer")
    assert [turn.verdict.passed for turn in trajectory.turns] == [False, True, True]
    assert trajectory.progress == pytest.approx(2 / 3)
    assert not trajectory.success


def test_results_of_earlier_turns_count_and_a_turn_without_a_call_then_passes_but_not_officially() -> None:
    trajectory = _play("mkdir a, ls", "answer", "answer", "answer")
    assert _verdicts(trajectory)[2] == TurnVerdict(True, True, called=False, expects_answer=False, answered=True)
    assert (trajectory.progress, trajectory.success) == (1.0, False)


def test_a_call_where_only_an_answer_is_due_fails_the_turn_but_not_officially() -> None:
    trajectory = _play("mkdir a", "answer", "pwd", "answer", "ls", "answer")
    assert [turn.verdict.passed for turn in trajectory.turns] == [True, False, True]
    assert trajectory.success


def test_the_step_beyond_the_limit_is_run_and_ends_the_turn_which_is_judged_as_it_stands() -> None:
    trajectory = _play("noise", "mkdir a", "answer", "ls", "answer", step_limit=1)
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.STEP_LIMIT, TurnEnd.ANSWERED, TurnEnd.ANSWERED]
    assert [len(turn.steps) for turn in trajectory.turns] == [2, 1, 2]
    assert trajectory.turns[0].verdict == TurnVerdict(True, True, True, expects_answer=False, answered=False)
    assert (trajectory.end, trajectory.truncated) == (EpisodeEnd.TERMINATED, False)
    assert (trajectory.progress, trajectory.success) == (1.0, True)


def test_a_turn_that_the_limit_ends_unfinished_has_failed_and_the_next_one_can_pass() -> None:
    trajectory = _play("noise", "noise", "answer", "mkdir a, ls", "answer", step_limit=1)
    assert [turn.verdict.passed for turn in trajectory.turns] == [False, True, True]
    assert (trajectory.end, trajectory.success) == (EpisodeEnd.TERMINATED, False)


def test_after_the_step_beyond_the_limit_the_agent_reads_its_results_and_the_next_message() -> None:
    episode = _episode(step_limit=1)
    episode.reset()
    assert episode.step("noise") == Observation("Think first.", (), False)
    behind = f"{NEXT_MESSAGE}\nDelete the internet."
    assert episode.step("mkdir a") == Observation(f"[1] mkdir: None\n\n{behind}", (), False, ("None",), behind)
    assert episode.step("ls") == Observation(f"[1] ls: {LISTING}", (), False, (LISTING,))
    assert episode.step("noise") == Observation(f"Think first.\n\n{NEXT_MESSAGE}\nWhat is here?", (), False)
    assert episode.turns[1].steps[1].observation == f"Think first.\n\n{NEXT_MESSAGE}\nWhat is here?"


def test_with_end_the_step_beyond_the_limit_is_run_and_ends_the_episode() -> None:
    trajectory = _play("noise", "mkdir a", step_limit=1, at_step_limit="end")
    assert (trajectory.end, trajectory.turns[0].end) == (EpisodeEnd.STEP_LIMIT, TurnEnd.STEP_LIMIT)
    assert (len(trajectory.turns), trajectory.turn_count) == (1, 3)
    assert trajectory.turns[0].verdict == TurnVerdict(True, True, True, expects_answer=False, answered=False)
    assert trajectory.turns[0].steps[1].observation == "[1] mkdir: None"
    assert (trajectory.progress, trajectory.truncated, trajectory.success) == (pytest.approx(1 / 3), True, False)


@pytest.mark.parametrize("at_step_limit", ["next_turn", "end"])
def test_in_the_last_turn_the_limit_ends_the_episode_without_truncation(at_step_limit: AtStepLimit) -> None:
    passed = _play("mkdir a", "answer", "answer", "noise", "ls", step_limit=1, at_step_limit=at_step_limit)
    assert (passed.end, passed.turns[2].end) == (EpisodeEnd.TERMINATED, TurnEnd.STEP_LIMIT)
    assert (passed.steps[-1].observation, passed.truncated) == (f"[1] ls: {LISTING}", False)
    assert (passed.progress, passed.success) == (1.0, True)
    failed = _play("mkdir a", "answer", "answer", "pwd", "pwd", step_limit=1, at_step_limit=at_step_limit)
    assert (failed.end, failed.turns_passed, failed.success) == (EpisodeEnd.TERMINATED, 2, False)


@pytest.mark.parametrize("at_step_limit", ["next_turn", "end"])
def test_an_answer_is_not_a_step_of_the_limit(at_step_limit: AtStepLimit) -> None:
    trajectory = _play(
        "mkdir a", "answer", "noise", "answer", "ls", "answer", step_limit=1, at_step_limit=at_step_limit
    )
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.ANSWERED] * 3
    assert trajectory.progress == 1


def test_a_turn_that_is_to_be_answered_fails_at_the_limit_with_and_without_a_call() -> None:
    noisy = _play("mkdir a", "answer", "noise", "noise", "ls", "answer", step_limit=1)
    assert noisy.turns[1].verdict == TurnVerdict(True, True, False, expects_answer=True, answered=False)
    called = _play("mkdir a", "answer", "pwd", "pwd", "ls", "answer", step_limit=1)
    assert called.turns[1].verdict == TurnVerdict(True, True, True, expects_answer=True, answered=False)
    for trajectory in (noisy, called):
        assert [turn.verdict.passed for turn in trajectory.turns] == [True, False, True]
        # BFCL does not judge such a turn.
        assert trajectory.success


def test_truncation_by_tokens_after_the_limit_leaves_a_turn_without_steps() -> None:
    episode = _episode(step_limit=1)
    episode.reset()
    episode.step("mkdir a")
    episode.step("noise")
    episode.truncate()
    trajectory = episode.finish()
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.STEP_LIMIT, TurnEnd.TOKEN_LIMIT]
    assert (trajectory.end, trajectory.turns[1].steps) == (EpisodeEnd.TOKEN_LIMIT, ())


def test_truncation_from_outside_judges_the_running_turn() -> None:
    episode = _episode()
    episode.reset()
    episode.step("mkdir a")
    episode.truncate()
    trajectory = episode.finish()
    assert (trajectory.end, trajectory.turns[0].end) == (EpisodeEnd.TOKEN_LIMIT, TurnEnd.TOKEN_LIMIT)
    assert trajectory.turns[0].verdict == TurnVerdict(True, True, True, expects_answer=False, answered=False)


def test_truncation_before_the_first_step_leaves_a_turn_without_steps() -> None:
    episode = _episode()
    episode.reset()
    episode.truncate()
    assert episode.finish().turns[0].steps == ()


def test_a_clipped_completion_that_cannot_be_read_is_too_long() -> None:
    episode = _episode()
    episode.reset()
    episode.step("noise", clipped=True)
    episode.step("ls", clipped=True)
    episode.truncate()
    cut_off, complete = episode.finish().steps
    assert isinstance(cut_off.action, FormatError)
    assert cut_off.action.fault is FormatFault.TOO_LONG
    assert complete.action == SCRIPT["ls"]
    assert cut_off.clipped
    assert complete.clipped


def test_hints_are_read_after_failed_calls_and_change_nothing_else() -> None:
    plain = _play("mkdir a", "mkdir a, ls", "answer", "answer", "ls", "answer")
    hinted = _play("mkdir a", "mkdir a, ls", "answer", "answer", "ls", "answer", augmentation=Always())
    failed, listed = hinted.steps[1].results
    assert failed.hint == Hint("test.always", HintKind.CONSTRAINT, "Look at mkdir.")
    assert listed.hint is None
    assert hinted.steps[1].observation == (f"[1] mkdir: {failed.text}\nHint: Look at mkdir.\n[2] ls: {LISTING}")
    assert _verdicts(hinted) == _verdicts(plain)
    assert [replace(result, hint=None) for result in hinted.results] == list(plain.results)


WITHHELD = replace(
    TASK,
    group=Category.MISS_FUNC,
    turns=(UserTurn("What is here?", ()), UserTurn("", (LS,), new_tools=("ls",))),
)


def test_a_withheld_tool_is_handed_over_with_a_sentence_and_cannot_be_called_before() -> None:
    episode = _episode(WITHHELD)
    assert [tool.name for tool in episode.reset().new_tools] == ["mkdir", "pwd"]
    assert "name 'ls' is not defined" in episode.step("ls").text
    assert episode.step("answer") == Observation(MORE_TOOLS, (DOCUMENTS[1],), False)
    assert episode.step("ls").text == '[1] ls: {"current_directory_content": []}'
    episode.step("answer")
    trajectory = episode.finish()
    assert trajectory.turns[1].user_message == MORE_TOOLS
    assert [turn.verdict.passed for turn in trajectory.turns] == [False, True]


def test_tools_handed_over_at_the_limit_come_with_the_observation_and_can_be_called() -> None:
    episode = _episode(WITHHELD, step_limit=1)
    episode.reset()
    assert not episode.step("ls").new_tools
    observation = episode.step("pwd")
    assert observation.text.endswith(f"\n\n{NEXT_MESSAGE}\n{MORE_TOOLS}")
    assert (observation.new_tools, observation.done) == ((DOCUMENTS[1],), False)
    assert episode.step("ls").text == '[1] ls: {"current_directory_content": []}'


# Turns of 5 and 1 calls; 6 and 3; 7 and 2.
# What a turn lacks is lacking in the world of the next one too.
LONG = ("multi_turn_base_41", "multi_turn_base_70", "multi_turn_base_65")


@pytest.mark.parametrize(
    ("step_limit", "at_step_limit", "progress"),
    [
        (5, "next_turn", [1, 1, 0]),
        (5, "end", [1, 1 / 2, 0]),
        (4, "next_turn", [1, 0, 0]),
        (20, "end", [1, 1, 1]),
    ],
)
def test_a_perfect_agent_with_one_call_a_step_passes_turns_of_one_call_more_than_the_limit(
    step_limit: int, at_step_limit: AtStepLimit, progress: list[float]
) -> None:
    tasks = {task.id: task for task in load_bfcl_tasks(["base"])}
    assert [_perfect(tasks[name], step_limit, at_step_limit).progress for name in LONG] == progress


def _perfect(task: Task, step_limit: int, at_step_limit: AtStepLimit) -> Trajectory:
    """Play the ground-truth calls of each turn in a step each, then answer."""
    hints = NoAugmentation()
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, step_limit, at_step_limit)
    done, turn, left = episode.reset().done, -1, list[ToolCall]()
    while not done:
        if turn < len(episode.turns):
            turn = len(episode.turns)
            left = list(task.turns[turn].ground_truth)
        done = episode.step(write_calls("", [left.pop(0)]) if left else write_answer("", "Done.")).done
    return episode.finish()


def test_a_state_is_digested_once_at_the_start_of_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter(range(9))
    monkeypatch.setattr("envtune.environment.episode.digest_of", lambda view: str(next(digests)))
    hints = NoAugmentation()
    episode = Episode(BFCL_ENVIRONMENT, TASK, SCRIPT.__getitem__, hints, 5, state_digests=True)
    episode.reset()
    for _ in TASK.turns:
        episode.step("answer")
    assert [turn.state_digest for turn in episode.finish().turns] == list(map(str, range(len(TASK.turns))))
    assert next(digests) == len(TASK.turns)


def test_reset_begins_afresh() -> None:
    episode = _episode()
    records = []
    for _ in range(2):
        episode.reset()
        for completion in ("mkdir a", "answer", "answer", "ls", "answer"):
            episode.step(completion)
        records.append(episode.finish())
    assert records[0] == records[1]


def test_episodes_of_one_task_do_not_meet() -> None:
    first, second = _episode(), _episode()
    first.reset()
    second.reset()
    first.step("mkdir b")
    assert second.step("ls").text == '[1] ls: {"current_directory_content": []}'


def test_using_an_episode_before_or_after_its_time_is_refused() -> None:
    episode = _episode()
    with pytest.raises(RuntimeError, match="not running"):
        episode.step("ls")
    episode.reset()
    with pytest.raises(RuntimeError, match="not over"):
        episode.finish()
    episode.truncate()
    with pytest.raises(RuntimeError, match="not running"):
        episode.step("ls")
    with pytest.raises(ValueError, match="step_limit is 0"):
        _episode(step_limit=0)
