from __future__ import annotations

from hand_made import call, task, turn

from envtune.bfcl.audit.retold_findings import retold_findings
from envtune.bfcl.audit.turn_findings import turn_findings
from envtune.bfcl.category import Category
from envtune.task import Task

FILES = "GorillaFileSystem"
MKDIR = call("mkdir", dir_name="a")
LS = call("ls")


def _turns(audited: Task) -> list[tuple[str, int, str]]:
    return [(str(finding.reason), finding.turn, finding.subject) for finding in turn_findings(audited)]


def _twins(audited: Task, base: Task) -> list[tuple[str, int, str]]:
    return [(str(finding.reason), finding.turn, finding.subject) for finding in retold_findings(audited, base)]


def test_a_withheld_tool_whose_result_is_expected_early_cannot_pass() -> None:
    late = turn("", MKDIR, new_tools=("mkdir", "ls"))
    early = task(turn("What is here?", LS), turn("Make a."), late, category=Category.MISS_FUNC, toolbox=FILES)
    assert _turns(early) == [("withheld_tool", 0, "ls()")]
    sound = task(turn("Where am I?", call("pwd")), turn("Make a."), late, category=Category.MISS_FUNC, toolbox=FILES)
    assert _turns(sound) == []


def test_tools_that_are_handed_over_and_not_needed_are_told() -> None:
    def handed(*tools: str) -> Task:
        turns = (turn("Make a."), turn("", MKDIR, new_tools=tools))
        return task(*turns, category=Category.MISS_FUNC, toolbox=FILES)

    assert _turns(handed("mkdir")) == []
    assert _turns(handed("cp")) == [("unneeded_tool", 1, "cp")]


def test_a_failing_call_counts_if_its_failure_is_expected() -> None:
    failing = call("cd", folder="nowhere")
    assert _turns(task(turn("Go.", failing), toolbox=FILES)) == [("failing_ground_truth", 0, "cd(folder='nowhere')")]
    # The failure of the first turn is among the results of the second, so that it need not happen again.
    repeated = task(turn("Go.", failing), turn("Again.", MKDIR, failing), toolbox=FILES)
    assert [index for _, index, _ in _turns(repeated)] == [0]


def test_a_turn_without_ground_truth_counts_where_nothing_is_withheld() -> None:
    turns = (turn("Make a.", MKDIR), turn("What is here?"))
    assert _turns(task(*turns, toolbox=FILES)) == [("empty_turn", 1, "What is here?")]
    assert _turns(task(*turns, category=Category.MISS_PARAM, toolbox=FILES)) == []


def test_a_message_that_base_acts_on_misses_no_value() -> None:
    base = task(turn("Make a.", MKDIR), toolbox=FILES)
    given = task(turn("Make a."), turn("It is a.", MKDIR), category=Category.MISS_PARAM, toolbox=FILES)
    assert _twins(given, base) == [("given_value", 0, "mkdir(dir_name='a')")]
    missing = task(turn("Make one."), turn("It is a.", MKDIR), category=Category.MISS_PARAM, toolbox=FILES)
    assert _twins(missing, base) == []


def test_the_same_message_with_another_value_disagrees_and_with_fewer_calls_does_not() -> None:
    base = task(turn("Make a, list it.", MKDIR, LS), toolbox=FILES)
    other = call("mkdir", dir_name="b")
    differing = task(turn("Make a, list it.", other, LS), category=Category.MISS_PARAM, toolbox=FILES)
    assert _twins(differing, base) == [("twin_disagreement", 0, "mkdir(dir_name='b')")]
    fewer = task(turn("Make a, list it.", MKDIR), category=Category.MISS_PARAM, toolbox=FILES)
    assert _twins(fewer, base) == []


def test_the_turn_before_tools_are_handed_over_is_not_compared() -> None:
    base = task(turn("Make a.", MKDIR), toolbox=FILES)
    waiting = task(turn("Make a."), turn("", MKDIR, new_tools=("mkdir",)), category=Category.MISS_FUNC, toolbox=FILES)
    assert _twins(waiting, base) == []


def test_an_empty_turn_of_base_is_empty_in_its_twins() -> None:
    base = task(turn("Make a.", MKDIR), turn("What is here?"), toolbox=FILES)
    assert _twins(task(*base.turns, category=Category.MISS_PARAM, toolbox=FILES), base) == [
        ("empty_turn", 1, "What is here?")
    ]
