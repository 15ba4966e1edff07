"""Worlds in worker processes: the same results, and nothing left of a tool that hangs or crashes."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import shaky_tools

from envtune.chat.protocol import parse
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.environment.fingerprint import digest_of
from envtune.environment.isolation import IsolatedEnvironment
from envtune.environment.isolation.isolated_world import IsolatedWorld
from envtune.environment.judge import Judge
from envtune.environment.limits import ResultBudget
from envtune.environment.python_module import environment_of
from envtune.environment.python_world import PythonEnvironment
from envtune.environment.selected_tasks import SelectedTasks
from envtune.errors import UserError
from envtune.task import Check, Task, ToolCall, UserTurn, call

TOOLS = shaky_tools.environment.documents
MAKE = partial(environment_of, "shaky_tools")
TIMEOUT = "Error during execution: it took more than 0.5 seconds, and was stopped and undone"
ENDED = "Error during execution: it ended the process of the tool ({}), and was undone"


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedEnvironment]:
    """Two workers for all tests of the file: a test that ends one is followed by others in a new one."""
    environment = IsolatedEnvironment(MAKE, seconds=0.5, megabytes=200, workers=2)
    yield environment
    environment.close()


def task(name: str = "one", check: Check | None = None, **world: Any) -> Task:
    return Task(name, "base", world, (UserTurn("Do it.", (), check=check),), TOOLS)


def count_of(world: IsolatedWorld) -> int:
    return world.view.count


# --- The same world ---


HOSTILE = (
    call("add", number=2),
    call("add", number="2"),
    call("add", number=10**5000),
    call("add", number=float("nan")),
    call("add"),
    call("note", name="\ud800"),
    call("note", name="a" * 40_000),
    call("note", name=""),
    call("note", name="a"),
    call("unknown", name="a"),
    call("read_input"),
)


def test_results_and_states_are_those_of_the_process_itself(isolated: IsolatedEnvironment, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    here, there = shaky_tools.environment.open(task(count=3)), isolated.open(task(count=3))
    assert there.tools == here.tools
    for each in HOSTILE:
        assert there.call(each) == here.call(each)
    assert (there.view.count, there.view.names) == (5, ["", "a"])
    for world in (here, there):
        world.offer(["note"])
        assert world.tools == {"note"}
    assert there.call(call("add", number=1)) == here.call(call("add", number=1))


def test_the_calls_of_a_response_share_its_budget(isolated: IsolatedEnvironment):
    here, there = ResultBudget(30), ResultBudget(30)
    world, twin = isolated.open(task()), shaky_tools.environment.open(task())
    for _ in range(4):
        each = call("note", name="twelve chars")
        assert world.call(each, there) == twin.call(each, here)
        assert there.left == here.left
    assert not world.call(each, there).ok


def test_worlds_of_a_task_are_equal_until_one_changes_and_copies_share_nothing(isolated: IsolatedEnvironment):
    world, other = isolated.open(task()), isolated.open(task())
    assert world.same_as(other)
    world.call(call("add", number=1))
    copied = world.copy()
    assert copied.same_as(world)
    assert not world.same_as(other)
    copied.call(call("add", number=1))
    assert (count_of(copied), count_of(world)) == (2, 1)


def test_a_state_has_the_digest_that_it_has_in_the_process_itself():
    make = partial(PythonEnvironment, shaky_tools.SlottedCounter)
    here = make()
    isolated = IsolatedEnvironment(make, workers=1)
    played = Task("one", "base", {}, (UserTurn("Do it."),), here.documents)
    digests = []
    for environment in (here, isolated):
        world = environment.open(played)
        digests.append(digest_of(world.view))
        assert world.call(call("add", number=1)).ok
        digests.append(digest_of(world.view))
    isolated.close()
    assert digests[:2] == digests[2:]
    assert digests[0] != digests[1]


def test_arguments_that_no_message_can_hold_fail_as_a_result(isolated: IsolatedEnvironment):
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    result = isolated.open(task()).call(ToolCall("add", {"number": deep}))
    assert not result.ok
    assert "nested deeper" in result.text


# --- Limits ---


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (call("sleep"), TIMEOUT),
        (call("spin"), TIMEOUT),
        (call("end"), ENDED.format("exit status 3")),
        (
            call("crash"),
            ENDED.format("Segmentation fault"),
        ),
        (call("reserve", megabytes=1000), "Error during execution: the call needs more memory than there is"),
    ],
    ids=lambda value: value.name if isinstance(value, ToolCall) else "",
)
def test_a_call_beyond_a_limit_is_a_failed_result_and_undone(isolated: IsolatedEnvironment, given: ToolCall, text: str):
    world, neighbour = isolated.open(task()), isolated.open(task())
    world.call(call("add", number=2))
    world.call(call("note", name=""))  # raises after it has changed the state
    world.offer(["add", given.name])
    neighbour.call(call("add", number=7))
    result = world.call(given)
    assert (result.ok, result.text) == (False, text)
    assert (count_of(world), count_of(neighbour)) == (2, 7)
    assert world.view.names == [""]
    assert world.call(call("add", number=1)).text == "3"
    assert world.call(call("note", name="a")).text.endswith("not a tool that is offered now")


def test_memory_below_the_limit_can_be_used_again_and_again(isolated: IsolatedEnvironment):
    world = isolated.open(task())
    assert [world.call(call("reserve", megabytes=100)).ok for _ in range(5)] == [True] * 5


def test_what_a_stopped_tool_has_started_is_stopped_too(isolated: IsolatedEnvironment, tmp_path: Path):
    file = tmp_path / "pid"
    assert isolated.open(task()).call(call("start_child", file=str(file))).text == TIMEOUT
    assert_gone([int(file.read_text())])


def test_a_worker_that_the_system_kills_between_two_calls_is_not_missed(isolated: IsolatedEnvironment):
    world = isolated.open(task())
    world.call(call("add", number=2))
    for child in psutil.Process().children():
        child.kill()
    assert_gone([child.pid for child in psutil.Process().children()])
    assert world.call(call("add", number=1)).text == "3"


def test_a_step_that_exceeds_the_limit_when_it_is_repeated_is_left_out(isolated: IsolatedEnvironment, tmp_path: Path):
    world, file = isolated.open(task()), tmp_path / "there"
    world.call(call("add", number=2))
    assert world.call(call("sleep_if_there", file=str(file))).ok
    world.call(call("add", number=5))
    assert count_of(world) == 8
    file.touch()
    world.call(call("end"))
    assert count_of(world) == 7


def test_an_interrupted_call_does_not_leave_its_result_to_the_next_one(isolated: IsolatedEnvironment):
    world = isolated.open(task())
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            world.call(call("sleep"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert world.call(call("add", number=4)).text == "4"


# --- Views: checks and conditions of rules ---


def test_a_view_reads_attributes_items_and_methods_wherever_they_are(isolated: IsolatedEnvironment):
    world = isolated.open(task(count=3))
    world.call(call("note", name="a"))
    view = world.view
    assert view.names == ["a"]
    view.names.append("b")  # a copy
    assert view.names == ["a"]
    assert view.add is not None
    assert not hasattr(view, "missing")
    row = view.database.execute("select count from counts")
    assert row.fetchone() == (3,)
    assert [tuple(part) for part in view.database.execute("select count from counts")] == [(3,)]
    with pytest.raises(KeyError):
        view.__dict__["missing"]
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(view)


def test_a_part_of_a_view_is_valid_until_the_next_call(isolated: IsolatedEnvironment):
    world = isolated.open(task())
    database = world.view.database
    world.call(call("add", number=1))
    with pytest.raises(LookupError, match="before the latest call"):
        database.execute("select 1")


def test_an_exception_of_the_view_carries_the_workers_traceback(isolated: IsolatedEnvironment):
    with pytest.raises(ValueError, match="no name") as raised:
        isolated.open(task()).view.note("")
    assert "shaky_tools.py" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("check", "share"),
    [
        (lambda view, answer: view.count == 3 and answer == "Done.", 1.0),
        (lambda view, answer: view.count / 4, 0.75),
        (lambda view, answer: view.stuck, 0.0),
        (lambda view, answer: view.end(), 0.0),
    ],
    ids=["met", "partly", "hangs", "crashes"],
)
def test_a_check_reads_the_worker_and_one_beyond_a_limit_has_failed(
    isolated: IsolatedEnvironment, check: Check, share: float
):
    checked = task(check=check, count=3)
    world = isolated.open(checked)
    assert Judge(isolated, checked, world).verdict(0, called=False, answer="Done.").checked == share
    assert count_of(world) == 3


def test_conditions_of_hints_read_the_worker_and_one_beyond_a_limit_gives_none(isolated: IsolatedEnvironment):
    step = '<think>t</think><tool_call>[{{"name": "{}", "arguments": {}}}]</tool_call>'
    note, add, end = step.format("note", '{"name": ""}'), step.format("add", '{"number": 10}'), step.format("end", "{}")
    given = task()
    episode = Episode(isolated, given, parse, Actionable().for_episode(isolated, given, 0), step_limit=9)
    episode.reset()
    assert "The count is small." in episode.step(note).text
    episode.step(add)
    assert "The count is small." not in episode.step(note).text
    assert "Never given." not in episode.step(end).text


# --- What is left ---


def test_two_hundred_episodes_leave_no_process_and_no_descriptor():
    me = psutil.Process()
    gc.collect()
    before = me.num_fds(), {child.pid for child in me.children(recursive=True)}
    isolated = IsolatedEnvironment(MAKE, seconds=0.5, megabytes=200, workers=2)
    descriptors = set()
    for number in range(200):
        world = isolated.open(task(f"episode {number}"))
        twin = world.copy()
        for _ in range(3):
            assert world.call(call("add", number=1)).ok
        if number % 50 == 7:
            assert not world.call(call("crash")).ok
        assert count_of(world) == 3
        assert not twin.same_as(world)
        descriptors.add(me.num_fds())
    started = {child.pid for child in me.children(recursive=True)} - before[1]
    assert len(started) == 2
    assert max(descriptors) - before[0] <= 4
    del isolated, world, twin
    gc.collect()
    assert_gone(started)
    assert (me.num_fds(), {child.pid for child in me.children(recursive=True)}) == before


def test_worlds_that_are_not_used_any_more_are_dropped_in_the_worker(isolated: IsolatedEnvironment):
    world = isolated.open(task())
    kept, key, worker = world.copy(), world._key, world._worker
    assert worker.ask("same_as", key, key)
    del world
    gc.collect()
    count_of(kept)
    with pytest.raises(KeyError):
        worker.ask("same_as", key, key)


@pytest.mark.parametrize(
    "ending",
    ["raise RuntimeError", "sys.exit(3)", "os._exit(3)", "hang(signal.SIGTERM)", "hang(signal.SIGKILL)"],
)
def test_a_run_that_ends_leaves_no_process(ending: str, tmp_path: Path):
    """The tools of hang(signal) hold the interpreter when the signal ends the run."""
    program = tmp_path / "run.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys, threading, time
            from functools import partial
            import psutil, shaky_tools
            from envtune.environment.isolation import IsolatedEnvironment
            from envtune.environment.python_module import environment_of
            from envtune.task import Task, UserTurn, call

            def hang(number):
                threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
                world.call(call("spin"))

            environment = IsolatedEnvironment(partial(environment_of, "shaky_tools"), seconds=60, workers=1)
            world = environment.open(Task("one", "base", {{}}, (UserTurn("Do it."),), environment.documents))
            print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
            {ending}
            """
        )
    )
    done = subprocess.run(
        [sys.executable, program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 1
    assert_gone(pids)


def assert_gone(pids: Any, seconds: float = 20.0) -> None:
    """Wait until the processes have ended."""
    until = time.monotonic() + seconds
    while alive := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < until, f"still running: {alive}"
        time.sleep(0.05)


# --- Mistakes of the user, and the record ---


def test_what_cannot_be_sent_to_a_worker_is_one_sentence(isolated: IsolatedEnvironment):
    with pytest.raises(UserError, match="what makes the environment cannot be sent to a worker process"):
        IsolatedEnvironment(lambda: shaky_tools.environment)
    with pytest.raises(UserError, match="open cannot be sent to a worker process"):
        isolated.open(task(anything=lambda: 1))


def _made_here_only() -> Any:
    return shaky_tools.environment


def test_an_environment_that_a_worker_cannot_make_is_one_sentence(monkeypatch):
    module = type(sys)("only_here")
    module.make = _made_here_only  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", module)
    monkeypatch.setattr(_made_here_only, "__module__", "only_here")
    monkeypatch.setattr(_made_here_only, "__qualname__", "make")
    with pytest.raises(UserError, match=r"cannot make the environment \(ModuleNotFoundError: .*only_here"):
        IsolatedEnvironment(_made_here_only, workers=1).open(task())


def test_a_world_that_cannot_be_opened_in_time_is_one_sentence(isolated: IsolatedEnvironment):
    with pytest.raises(UserError, match=r"the world of task one cannot be opened: it took more than 0.5 seconds"):
        isolated.open(task(opening_seconds=1000))
    with pytest.raises(UserError, match="TypeError"):
        isolated.open(task(unknown=1))


def test_the_record_of_an_isolated_run_says_that_it_is_not_deterministic(isolated: IsolatedEnvironment):
    class Source:
        place = "a list"

        def all_tasks(self, split: Any) -> list[Task]:
            return [task()]

    for environment, deterministic in ((isolated, False), (shaky_tools.environment, True)):
        assert SelectedTasks(Source(), environment).describe()["deterministic"] is deterministic


def test_the_setting_makes_one_environment_for_all_that_names_it(monkeypatch):
    make: Callable[..., Any] = partial(environment_of, "shaky_tools", call_seconds=9.0)
    assert make() is shaky_tools.environment
    assert make(isolation="process") is make(isolation="process")
    assert make(isolation="process").rules is shaky_tools.environment.rules
    with pytest.raises(UserError, match="isolation='thread' must be process or null: null plays worlds"):
        make(isolation="thread")
