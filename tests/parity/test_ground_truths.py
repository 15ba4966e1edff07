"""Our verdict equals the official checker's on ground truths and on what recorded models get wrong."""

from __future__ import annotations

import ast
import itertools
import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.posting_api import TwitterAPI
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker

from envtune.data.bfcl import CATEGORIES, load_bfcl_tasks, package_data
from envtune.environment.toolbox import PARAMETERS
from envtune.task import Task

score = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "score.py"))["score"]

Turns = list[list[str]]
# Of the 200; `pytest tests/parity --all-scenarios` compares them all.
SCENARIOS = (0, 15, 49, 52, 77, 103, 128, 151, 167, 190)
WRITES = {
    "GorillaFileSystem": "mkdir(dir_name='one_more')",
    "MathAPI": "add(a=1, b=2)",
    "MessageAPI": "add_contact(user_name='One More')",
    "TwitterAPI": "post_tweet(content='One more')",
    "TicketAPI": "create_ticket(title='One more')",
    "TradingBot": "fund_account(amount=1)",
    "TravelAPI": "authenticate_travel('a', 'b', 'c', 'read', 'One', 'More')",
    "VehicleControlAPI": "set_navigation(destination='One more')",
}

_run_numbers = itertools.count()


def dropped(task: Task, turns: Turns) -> Turns:
    """Without the last call of the last turn that has one."""
    last = max(index for index, turn in enumerate(turns) if turn)
    return [turn[:-1] if index == last else turn for index, turn in enumerate(turns)]


def argument_changed(task: Task, turns: Turns) -> Turns:
    """The first call with an argument has another value there."""
    result, done = [], False
    for turn in turns:
        changed = []
        for call in turn:
            node = ast.parse(call, mode="eval").body
            if not done and node.keywords:
                node.keywords[0].value = ast.Constant(_other(ast.literal_eval(node.keywords[0].value)))
                call, done = ast.unparse(node), True
            changed.append(call)
        result.append(changed)
    return result


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x" if isinstance(value, str) else value[:-1] if isinstance(value, list) else {}


def with_one_more_write(task: Task, turns: Turns) -> Turns:
    return [[*turns[0], WRITES[task.toolboxes[0]]], *turns[1:]]


def read_first(task: Task, turns: Turns) -> Turns:
    """A call that writes in no way: officially never punished where it is added to calls that are right."""
    return [[*turn, "no_such_tool(a=1)"] for turn in turns]


def reversed_order(task: Task, turns: Turns) -> Turns:
    return [turn[::-1] for turn in turns]


def duplicated(task: Task, turns: Turns) -> Turns:
    return [[call for call in turn for _ in range(2)] for turn in turns]


def one_turn_early(task: Task, turns: Turns) -> Turns:
    """Everything of the second turn is done in the first already."""
    return [turns[0] + turns[1], [], *turns[2:]] if len(turns) > 1 else turns


def positional(task: Task, turns: Turns) -> Turns:
    """The leading arguments without their names, as far as they stand in the signature's order."""
    return [[_positional(call) for call in turn] for turn in turns]


def _positional(call: str) -> str:
    node = ast.parse(call, mode="eval").body
    for parameter in PARAMETERS[node.func.id][len(node.args) :]:
        if not node.keywords or node.keywords[0].arg != parameter:
            break
        node.args.append(node.keywords.pop(0).value)
    return ast.unparse(node)


VARIANTS: tuple[Callable[[Task, Turns], Turns], ...] = (
    lambda task, turns: turns,
    dropped,
    argument_changed,
    with_one_more_write,
    read_first,
    reversed_order,
    duplicated,
    one_turn_early,
    positional,
)


def official_entries(category: str) -> Iterator[tuple[dict, Turns]]:
    name = f"BFCL_v4_multi_turn_{category}.json"
    tasks = (package_data() / name).read_text(encoding="utf-8").splitlines()
    answers = (package_data() / "possible_answer" / name).read_text(encoding="utf-8").splitlines()
    for task, answer in zip(tasks, answers, strict=True):
        yield json.loads(task), json.loads(answer)["ground_truth"]


def official_verdict(entry: dict, turns: Turns, ground_truth: Turns) -> bool:
    """One trajectory through the official checker, with its leaks closed: it keeps worlds and default lists."""
    TwitterAPI.post_tweet.__defaults__ = ([], [])
    before = set(vars(multi_turn_utils))
    decoded = [[[call] for call in turn] for turn in turns]
    name = f"parity{next(_run_numbers)}"
    try:
        return multi_turn_checker(decoded, ground_truth, entry, "multi_turn", name)["valid"]
    finally:
        for added in set(vars(multi_turn_utils)) - before:
            delattr(multi_turn_utils, added)


def disagreements(category: str, scenarios: tuple[int, ...]) -> tuple[int, list[tuple[str, str, bool]]]:
    """How many trajectories were compared, and (task, variant, our verdict) of those judged differently."""
    tasks = {task.id: task for task in load_bfcl_tasks([category])}
    compared, differing = 0, []
    for number, (entry, ground_truth) in enumerate(official_entries(category)):
        if number not in scenarios:
            continue
        task = tasks[entry["id"]]
        for variant in VARIANTS:
            turns = variant(task, ground_truth)
            ours = score(task, [[[call] for call in turn] for turn in turns])["success"]
            compared += 1
            if ours != official_verdict(entry, turns, ground_truth):
                differing.append((task.id, variant.__name__, ours))
    return compared, differing


@pytest.mark.parametrize("category", CATEGORIES)
def test_scenarios_in_nine_variants_are_judged_as_officially(category: str, pytestconfig: pytest.Config) -> None:
    scenarios = tuple(range(200)) if pytestconfig.getoption("--all-scenarios") else SCENARIOS
    assert disagreements(category, scenarios) == (9 * len(scenarios), [])


@pytest.mark.parametrize("category", CATEGORIES)
def test_positional_ground_truth_binds_alike_by_document_and_by_signature(category: str) -> None:
    tasks = {task.id: task for task in load_bfcl_tasks([category])}
    for entry, ground_truth in official_entries(category):
        orders = {tool.name: tuple(tool.parameters["properties"]) for tool in tasks[entry["id"]].tools}
        for call in itertools.chain.from_iterable(ground_truth):
            node = ast.parse(call, mode="eval").body
            count = len(node.args)
            assert orders[node.func.id][:count] == PARAMETERS[node.func.id][:count]
