"""Trajectories made from a ground truth: the named ways in which agents depart from it, one at a time or mixed."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from typing import Any

from official import Turns

from envtune.bfcl.toolbox import PARAMETERS
from envtune.task import Task

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
# The last two draw from their world's random generator, which shifts later results.
READS = {
    "GorillaFileSystem": "ls(a=True)",
    "MathAPI": "absolute_value(number=-1)",
    "MessageAPI": "list_users()",
    "TwitterAPI": "get_user_tweets(username='nobody')",
    "TicketAPI": "ticket_get_login_status()",
    "TradingBot": "get_watchlist()",
    "TravelAPI": "list_all_airports()",
    "VehicleControlAPI": "get_current_speed()",
}

CallTurns = list[list[str]]


def as_steps(turns: CallTurns) -> Turns:
    """Every call in a step of its own."""
    return [[[call] for call in turn] for turn in turns]


def unchanged(task: Task, turns: CallTurns) -> Turns:
    return as_steps(turns)


def one_step_a_turn(task: Task, turns: CallTurns) -> Turns:
    return [[turn] if turn else [] for turn in turns]


def split_over_steps(task: Task, turns: CallTurns) -> Turns:
    """Two calls in the first step of a turn, the others one by one."""
    return [[turn[:2], *([call] for call in turn[2:])] if turn else [] for turn in turns]


def empty_steps(task: Task, turns: CallTurns) -> Turns:
    """Two steps without a call in every turn: officially not an empty turn, unlike one such step."""
    return [[[], [], *([call] for call in turn)] for turn in turns]


def dropped(task: Task, turns: CallTurns) -> Turns:
    """Without the last call of the last turn that has one."""
    last = max(index for index, turn in enumerate(turns) if turn)
    return as_steps([turn[:-1] if index == last else turn for index, turn in enumerate(turns)])


def turn_dropped(task: Task, turns: CallTurns) -> Turns:
    """No call in the first turn; the others as they should be."""
    return as_steps([[], *turns[1:]])


def argument_changed(task: Task, turns: CallTurns) -> Turns:
    """The first call with an argument has another value there."""
    result, done = [], False
    for turn in turns:
        changed = []
        for call in turn:
            node = _node(call)
            if not done and node.keywords:
                node.keywords[0].value = ast.Constant(_other(ast.literal_eval(node.keywords[0].value)))
                call, done = ast.unparse(node), True
            changed.append(call)
        result.append(changed)
    return as_steps(result)


def extra_write(task: Task, turns: CallTurns) -> Turns:
    return as_steps([[*turns[0], WRITES[task.world.toolboxes[0]]], *turns[1:]])


def extra_read(task: Task, turns: CallTurns) -> Turns:
    return as_steps([[READS[task.world.toolboxes[0]], *turn] for turn in turns])


def calls_where_none_are_due(task: Task, turns: CallTurns) -> Turns:
    """A read in every turn without ground truth; where there is none, in a turn that should be empty, a write too."""
    own = task.world.toolboxes[-1]
    return as_steps([turn or [READS[own], WRITES[own]] for turn in turns])


def reads_where_none_are_due(task: Task, turns: CallTurns) -> Turns:
    return as_steps([turn or [READS[task.world.toolboxes[-1]]] for turn in turns])


def unknown_tool(task: Task, turns: CallTurns) -> Turns:
    return as_steps([["no_such_tool(a=1)", *turn] for turn in turns])


def reversed_order(task: Task, turns: CallTurns) -> Turns:
    return as_steps([turn[::-1] for turn in turns])


def duplicated(task: Task, turns: CallTurns) -> Turns:
    return as_steps([[call for call in turn for _ in range(2)] for turn in turns])


def one_turn_early(task: Task, turns: CallTurns) -> Turns:
    """Everything of the second turn is done in the first already."""
    return as_steps([turns[0] + turns[1], [], *turns[2:]] if len(turns) > 1 else turns)


def positional(task: Task, turns: CallTurns) -> Turns:
    """The leading arguments without their names, as far as they stand in the signature's order."""
    return as_steps([[_positional(call) for call in turn] for turn in turns])


VARIANTS: tuple[Callable[[Task, CallTurns], Turns], ...] = (
    unchanged,
    one_step_a_turn,
    split_over_steps,
    empty_steps,
    dropped,
    turn_dropped,
    argument_changed,
    extra_write,
    extra_read,
    calls_where_none_are_due,
    reads_where_none_are_due,
    unknown_tool,
    reversed_order,
    duplicated,
    one_turn_early,
    positional,
)


def mixed(task: Task, turns: CallTurns, draw: random.Random) -> Turns:
    """Each call is kept, dropped, doubled, changed, moved to another turn or replaced, as ``draw`` has it."""
    played: CallTurns = [[] for _ in turns]
    strangers = [call for own in task.world.toolboxes for call in (WRITES[own], READS[own])] + ["no_such_tool(a=1)"]
    for index, turn in enumerate(turns):
        for call in turn:
            kind = draw.choices(("keep", "drop", "double", "change", "move", "stranger"), (80, 4, 3, 5, 4, 4))[0]
            place = draw.randrange(len(turns)) if kind == "move" else index
            texts = {"drop": [], "double": [call, call], "change": [_changed(call, draw)]}.get(kind, [call])
            played[place] += texts + ([draw.choice(strangers)] if kind == "stranger" else [])
        if draw.random() < 0.05:
            draw.shuffle(played[index])
    return [_steps(turn, draw) for turn in played]


def _steps(calls: list[str], draw: random.Random) -> list[list[str]]:
    steps: list[list[str]] = []
    for call in calls:
        if steps and draw.random() < 0.5:
            steps[-1].append(call)
        else:
            steps.append([call])
    return steps


def _changed(call: str, draw: random.Random) -> str:
    node = _node(call)
    if not node.keywords:
        return call
    keyword = draw.choice(node.keywords)
    keyword.value = ast.Constant(_other(ast.literal_eval(keyword.value)))
    return ast.unparse(node)


def _positional(call: str) -> str:
    node = _node(call)
    for parameter in PARAMETERS[node.func.id][len(node.args) :]:
        if not node.keywords or node.keywords[0].arg != parameter:
            break
        node.args.append(node.keywords.pop(0).value)
    return ast.unparse(node)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x" if isinstance(value, str) else value[:-1] if isinstance(value, list) else {}


def _node(call: str) -> Any:
    return ast.parse(call, mode="eval").body
