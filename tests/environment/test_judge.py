from __future__ import annotations

from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.environment.judge import Judge
from envtune.task import Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import TurnVerdict

DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)
TURNS = (UserTurn("Make a.", (ToolCall("mkdir", {"dir_name": "a"}),)), UserTurn("Thanks.", ()))
TASK = Task("t", Category.BASE, Scenario(0, ("GorillaFileSystem",), {}), TURNS, DOCUMENTS)


def test_a_verdict_compares_the_agent_with_the_twin_after_the_same_turn() -> None:
    agent = Toolbox(TASK)
    judge = Judge(BFCL_ENVIRONMENT, TASK, agent)
    idle = judge.verdict(0, called=False, answer="")
    assert idle == TurnVerdict(state=False, response=False, called=False, expects_answer=False, answered=True)
    judge.see([agent.call(ToolCall("mkdir", {"dir_name": "a"})).text])
    assert judge.verdict(0, called=True, answer="").passed
    last = judge.verdict(1, called=False, answer="")
    assert (last.expects_answer, last.passed) == (True, True)


def test_results_of_earlier_turns_count_in_later_ones() -> None:
    pwd = UserTurn("Where am I?", (ToolCall("pwd", {}),))
    task = Task("t", Category.BASE, Scenario(0, ("GorillaFileSystem",), {}), (pwd, pwd), DOCUMENTS)
    agent = Toolbox(task)
    judge = Judge(BFCL_ENVIRONMENT, task, agent)
    judge.see([agent.call(ToolCall("pwd", {})).text])
    assert judge.verdict(0, called=True, answer="").response
    assert judge.verdict(1, called=False, answer="").passed


def test_an_answer_alone_is_due_only_without_ground_truth_and_check() -> None:
    turns = (UserTurn("Make a.", check=lambda view, answer: False), UserTurn("Thanks."))
    task = Task("t", Category.BASE, Scenario(0, ("GorillaFileSystem",), {}), turns, DOCUMENTS)
    judge = Judge(BFCL_ENVIRONMENT, task, Toolbox(task))
    assert [judge.verdict(turn, called=False, answer="").expects_answer for turn in (0, 1)] == [False, True]
