"""Classes written for TRL's ``environment_factory``, as they are."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from envtune.chat.protocol import parse
from envtune.command_line.command import CONFIG_FOLDER
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.environment.isolation import IsolatedEnvironment
from envtune.environment.selected_tasks import SelectedTasks
from envtune.environment.trl_environment import TRLEnvironment, trl_environment_of
from envtune.environment.trl_rows import TRLRows, prompt_text
from envtune.errors import UserError
from envtune.task import Split, Task, call
from envtune.trajectory import Trajectory


class Counter:
    """The example of TRL's documentation: a counter is to be brought to a value of the row."""

    def reset(self, target: int, **row: Any) -> str | None:
        self.counter = 0
        self.target = target
        return f" Stop at {target}." if row.get("repeat") else None

    def get_reward(self) -> float:
        return float(self.counter == self.target)

    def increment(self, step: int) -> int:
        """
        Increment the internal counter.

        Args:
            step: Value to add to the counter.

        Returns:
            The new value of the counter.
        """
        if step < 0:
            raise ValueError("only up")
        self.counter += step
        return self.counter


class Client:
    """It can be neither copied nor compared, and is larger than a state may be."""

    def __init__(self) -> None:
        self.lock, self.cache = threading.Lock(), list(range(10**5))


class OwnTask:
    """It draws its own task, as TRL's other example does, and holds what cannot be copied or compared."""

    def __init__(self) -> None:
        self.client = Client()
        self.log: list[str] = []

    def reset(self) -> str:
        self.target = random.randint(1, 10**9)
        return f"Send {self.target}."

    def send(self, number: int, times: int = 1) -> str:
        """Send a number."""
        self.log += [str(number)] * times
        return "sent"

    def state(self) -> str:
        """Return the last number."""
        return self.log[-1]

    def get_reward(self) -> float:
        return 0.5 * (self.log.count(str(self.target)) > 0) + 0.5 * (len(self.log) == 1)


ROWS = [
    {"prompt": "Count to three.", "target": 3},
    {"prompt": [{"role": "user", "content": "Count."}], "target": 5, "repeat": True, "id": "five", "group": "told"},
]


def source(folder: Path, rows: list[dict[str, Any]], cls: type = Counter) -> SelectedTasks:
    for split in ("train", "val"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = TRLEnvironment(cls)
    return SelectedTasks(TRLRows(str(folder), environment), environment)


def play(environment: Any, task: Task, *steps: str) -> Trajectory:
    episode = Episode(environment, task, parse, NoAugmentation(), step_limit=5)
    episode.reset()
    for step in steps:
        episode.step(f"<think>t</think>{step}")
    return episode.finish()


def increment(step: int) -> str:
    return f'<tool_call>[{{"name": "increment", "arguments": {{"step": {step}}}}}]</tool_call>'


ANSWER = "<answer>Done.</answer>"


def test_methods_other_than_reset_and_get_reward_are_tools():
    (document,) = TRLEnvironment(Counter).documents
    assert (document.name, document.description) == ("increment", "Increment the internal counter.")
    step = {"type": "integer", "description": "Value to add to the counter."}
    assert document.parameters == {"type": "object", "properties": {"step": step}, "required": ["step"]}
    assert [tool.name for tool in TRLEnvironment(OwnTask).documents] == ["send", "state"]


def test_a_row_is_a_task_of_one_turn_whose_message_ends_in_what_reset_returns(tmp_path: Path):
    first, second = source(tmp_path, ROWS).tasks(Split.TRAIN)
    assert (first.id, first.group, first.turns[0].message) == ("train_1", "base", "Count to three.")
    assert (second.id, second.group, second.turns[0].message) == ("five", "told", "Count. Stop at 5.")
    assert second.world == ROWS[1]
    assert len(second.turns) == 1
    assert [tool.name for tool in second.tools] == ["increment"]


def test_get_reward_is_the_share_of_the_turn(tmp_path: Path):
    tasks = source(tmp_path, ROWS)
    task, environment = tasks.tasks(Split.TRAIN)[0], TRLEnvironment(Counter)
    assert play(environment, task, increment(1), increment(2), ANSWER).success
    assert not play(environment, task, increment(1), increment(-2), ANSWER).success
    # TRL scores an episode that its limit of steps ends as well.
    stopped = play(environment, task, *[increment(1)] * 3, *[increment(0)] * 3)
    assert (stopped.turns[0].verdict.checked, stopped.success) == (1.0, True)
    assert tasks.describe()["environment"] == "Counter"


def test_a_tools_exception_is_a_failed_result():
    environment = TRLEnvironment(Counter)
    world = environment.open(Task("one", "base", {"target": 1}, (), environment.documents))
    result = world.call(call("increment", step=-1))
    assert (result.ok, result.text) == (False, "Error during execution: only up")


def test_a_class_that_draws_its_task_draws_the_same_one_in_every_episode_of_a_row(tmp_path: Path):
    random.seed(0)
    expected = random.random()
    random.seed(0)
    first, second = source(tmp_path, [{}, {"prompt": "Now: "}], OwnTask).tasks(Split.TRAIN)
    assert random.random() == expected
    assert first.turns[0].message != second.turns[0].message.removeprefix("Now: ")
    world = TRLEnvironment(OwnTask).open(first)
    assert world.view.instance.target == int(first.turns[0].message[5:-1])


def test_an_object_that_cannot_be_copied_is_copied_by_its_calls():
    environment = TRLEnvironment(OwnTask)
    world = environment.open(Task("one", "base", {}, (), environment.documents))
    world.call(call("send", number=3))
    world.call(call("send"))  # refused
    world.offer(["send"])
    copied = world.copy()
    world.call(call("send", number=4))
    assert copied.view.instance.log == ["3"]
    assert copied.tools == {"send"}
    assert copied.same_as(world)


def test_a_call_that_makes_the_state_too_large_is_undone_by_the_calls_before_it():
    environment = TRLEnvironment(OwnTask)
    world = environment.open(Task("one", "base", {}, (), environment.documents))
    world.call(call("send", number=3))
    result = world.call(call("send", number=4, times=10**5))
    assert not result.ok
    assert "the state would grow too large" in result.text
    assert world.view.instance.log == ["3"]
    assert world.call(call("state")).text == "3"


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Do it.", "Do it."),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Do it."}], "Be brief.\n\nDo it."),
        ([{"role": "user", "content": [{"type": "text", "text": "Do "}, {"type": "text", "text": "it."}]}], "Do it."),
    ],
)
def test_a_prompt_is_a_text_or_messages(prompt: Any, text: str):
    assert prompt_text({"prompt": prompt}, "here") == text


USER = {"role": "user", "content": "Do it."}


@pytest.mark.parametrize(
    "prompt",
    [3, None, [], ["Do it."], [USER, USER], [USER, {"role": "assistant", "content": "No."}], [{"role": "system"}]],
)
def test_a_prompt_that_is_not_one_user_turn_is_one_sentence(prompt: Any):
    with pytest.raises(UserError, match="here: prompt must be a text, or a list of messages"):
        prompt_text({"prompt": prompt}, "here")


def test_a_prompt_with_an_image_is_one_sentence():
    with pytest.raises(UserError, match="here: the content of a message must be a text"):
        prompt_text({"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "here")


def test_rows_that_do_not_fit_are_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=r"task train_1: Counter.reset with the columns prompt fails: TypeError"):
        source(tmp_path, [{"prompt": "Count."}]).tasks(Split.TRAIN)
    with pytest.raises(UserError, match=r"train.jsonl, line 1 has no prompt and reset\(\) returns no text"):
        source(tmp_path, [{"target": 1}]).tasks(Split.TRAIN)


@pytest.mark.parametrize("value", [2.0, -0.1, float("nan"), None, "much"])
def test_a_reward_outside_0_to_1_is_one_sentence(value: Any, tmp_path: Path):
    class Odd(Counter):
        def get_reward(self) -> Any:
            return value

    with pytest.raises(UserError, match=r"Odd\.get_reward\(\) (returns .*: return a number in \[0, 1\]|fails)"):
        source(tmp_path, ROWS[:1], Odd).tasks(Split.TRAIN)


def test_a_class_that_does_not_fit_is_one_sentence():
    class NoReset:
        def get_reward(self) -> float:
            return 0

    class NoReward:
        def reset(self) -> None: ...

    class Late(Counter):
        async def get_reward(self) -> float:  # type: ignore[override]
            return 0

    class Told(Counter):
        def reset(self, **row: Any) -> Any:
            return ["Count."]

    for cls, text in (
        (NoReset, r"NoReset has no reset\(\): define reset\(self, \*\*row\)"),
        (NoReward, r"NoReward has no get_reward\(\): define it, with a number in \[0, 1\]"),
        (Late, r"Late\.get_reward is asynchronous"),
    ):
        with pytest.raises(UserError, match=text):
            TRLEnvironment(cls)
    environment = TRLEnvironment(Told)
    with pytest.raises(UserError, match=r"task one: Told\.reset returns a list: return the text"):
        environment.open(Task("one", "base", {}, (), environment.documents))


COUNTER = '''
class Counter:
    def reset(self, **row) -> None: ...

    def increment(self) -> None:
        """Increment the counter."""

    def get_reward(self) -> float:
        return 1.0

'''


def test_a_factory_is_named_by_its_module_and_may_be_a_function(tmp_path: Path, monkeypatch):
    (tmp_path / "own_counters.py").write_text(COUNTER + "def make():\n    return Counter()\nnumber = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert trl_environment_of("own_counters.make").name == "Counter"
    assert trl_environment_of("own_counters.Counter") is trl_environment_of("own_counters.Counter")
    for factory, text in (
        ("own_counters.Missing", r"cannot be imported \(AttributeError"),
        ("no_such_module.Counter", r"cannot be imported \(ModuleNotFoundError"),
        ("own_counters.number", "is a int: name a class or a function"),
    ):
        with pytest.raises(UserError, match=f"environment.factory={factory} {text}"):
            trl_environment_of(factory)


CRASHING = '''
import os
from typing import Any

class Crashing:
    def reset(self, target: int, **row: Any) -> str:
        self.target, self.counter = target, 0
        return f" Stop at {target}."

    def increment(self, step: int) -> int:
        """Increment the counter."""
        if step > 9:
            os._exit(1)
        self.counter += step
        return self.counter

    def get_reward(self) -> float:
        if self.counter == 9:
            os._exit(1)
        return float(self.counter == self.target)
'''


def test_the_settings_play_a_class_that_crashes_in_worker_processes(tmp_path: Path, monkeypatch):
    (tmp_path / "crashing_counter.py").write_text(CRASHING)
    monkeypatch.syspath_prepend(tmp_path)
    for split in ("train", "val"):
        (tmp_path / f"{split}.jsonl").write_text('{"prompt": "Count.", "target": 3}\n')
    factory = "environment.factory=crashing_counter.Crashing"
    overrides = ["environment=trl", factory, "environment.isolation=process", f"data.source.path={tmp_path}"]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        config = hydra.compose("train", overrides=overrides)
    environment, tasks = instantiate(config.environment), instantiate(config.data)
    assert isinstance(environment, IsolatedEnvironment)
    (task,) = tasks.tasks(Split.TRAIN)
    assert task.turns[0].message == "Count. Stop at 3."
    played = play(environment, task, increment(3), increment(10), ANSWER)
    assert played.success
    assert "it ended the process of the tool" in played.turns[0].steps[1].results[0].text
    assert not play(environment, task, increment(9), ANSWER).success
    assert tasks.describe()["deterministic"] is False
    environment.close()
