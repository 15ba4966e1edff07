"""Responses for `tools.fuzz.environment`: correct calls, careless ones and hostile ones.

All randomness comes from a ``random.Random`` argument, so that a seed determines the responses in every process.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence
from typing import Any

from envtune.chat.protocol import MAX_CALLS, MAX_CHARACTERS, write_answer
from envtune.task import Task, ToolCall, UserTurn

Entry = dict[str, Any]

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
STRANGE_NAMES = (
    "__init__", "__class__", "_load_scenario", "worlds", "offer", "eval", "LS", "ｌｓ", "l\u0301s", "ls\u0000", "",
)  # fmt: skip
STRANGE_TEXTS = (
    "__import__('os').system('true')", "echo(content=exit())", "{0.__class__.__mro__}", "%s%n",
    "../../../etc", ".", "..", "/", "", "\u0000", "\u202eabc", "e\u0301", "\U0001f600", "\u0130" * 300,
    "' not found", "User ID '" * 400, "No such file " * 400,
    "x" * 31_000, "1e999999999", "9" * 400, "0x10", "2024-02-30", "100000",
)  # fmt: skip
STRANGE_NUMBERS = (0, -1, True, 2**64, 10**299, -(10**299), 1e308, -1e308, 5e-324, -0.0, 501, 10**9)
CONFUSED_JSON = (
    "[" * 5_000, '{"a":' * 2_000, '"' * 3_000, '"\\' * 3_000,
    "[NaN]", "[Infinity]", "[1e999]", "[" + "9" * 5_000 + "]", "\\u",
)  # fmt: skip
# A response at its bounds takes a hundred times as long as an ordinary one.
HEAVY_SHARE = 0.15


def response(kind: str, rng: random.Random, task: Task, turn_index: int) -> str:
    """Return a response of one of the ``KINDS`` for a turn of the task."""
    return KINDS[kind](rng, task, task.turns[turn_index])


def _written(entries: Sequence[Any], thought: str = "I act.") -> str:
    body = json.dumps(entries, ensure_ascii=False).replace("<", "\\u003c")
    return f"<think>{thought}</think>\n<tool_call>{body}</tool_call>"


def _entry(call: ToolCall) -> Entry:
    return {"name": call.name, "arguments": dict(call.arguments)}


def _answer(rng: random.Random, task: Task, turn: UserTurn) -> str:
    return write_answer("I am done.", "Done.")


def _ground_truth(rng: random.Random, task: Task, turn: UserTurn) -> str:
    if not turn.ground_truth:
        return _answer(rng, task, turn)
    return _written([_entry(call) for call in turn.ground_truth])


def _mutated(rng: random.Random, task: Task, turn: UserTurn) -> str:
    calls = [call for any_turn in task.turns for call in any_turn.ground_truth]
    entries = [_entry(call) for call in rng.choices(calls, k=rng.randint(1, 5))]
    for entry in entries:
        arguments = entry["arguments"]
        for name in sorted(arguments):
            if rng.random() < 0.3:
                arguments[name] = _value(rng)
        if arguments and rng.random() < 0.2:
            del arguments[rng.choice(sorted(arguments))]
        if rng.random() < 0.1:
            arguments[rng.choice(("self", "x", "content", "tweet_id"))] = _value(rng)
        if rng.random() < 0.1:
            entry["name"] = rng.choice((*STRANGE_NAMES, rng.choice(task.tools).name))
    return _written(entries)


def _any_calls(rng: random.Random, task: Task, turn: UserTurn) -> str:
    entries = []
    for tool in rng.choices(task.tools, k=rng.randint(1, 8)):
        names = list(tool.parameters["properties"])
        entries.append({"name": tool.name, "arguments": {name: _value(rng) for name in names if rng.random() < 0.9}})
    return _written(entries)


def _value(rng: random.Random, depth: int = 0) -> Any:
    choice = rng.random()
    if choice < 0.15:
        return rng.choice(STRANGE_TEXTS)
    if choice < 0.3:
        return rng.choice(STRANGE_NUMBERS)
    if choice < 0.5:
        return "".join(rng.choices(string.ascii_letters + " ./'\"é中\U0001f600\n", k=rng.randint(0, 12)))
    if choice < 0.7:
        return rng.choice((rng.randint(-10, 1_000), rng.uniform(-1e3, 1e3), True, False, None))
    if depth == 3 or choice < 0.8:
        return [rng.choice((0, "a", None))] * rng.choice((0, 1, 3, 999))
    if choice < 0.9:
        return [_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(("a", "title", "status", "\u0000")): _value(rng, depth + 1) for _ in range(rng.randint(0, 2))}


def _broken_protocol(rng: random.Random, task: Task, turn: UserTurn) -> str:
    pieces = (
        *TAGS, *CONFUSED_JSON, '[{"name": "ls", "arguments": {}}]', '{"name": "ls"}', "I think.", "\ud800", " ", "ｔ",
    )  # fmt: skip
    if rng.random() < 0.5:
        return "".join(rng.choices(pieces, k=rng.randint(0, 9)))
    return f"<think></think><tool_call>{rng.choice(pieces)}</tool_call>"


def _hostile(rng: random.Random, task: Task, turn: UserTurn) -> str:
    if rng.random() < HEAVY_SHARE:
        return rng.choice((_too_long, _crowd, _repeated, _repeated))(rng, task)
    return _grown(rng, task)


def _too_long(rng: random.Random, task: Task) -> str:
    size = rng.choice((MAX_CHARACTERS - 100, MAX_CHARACTERS + 1, 10_000_000))
    unit = rng.choice(("x", "<think>", '"', "[", "\U0001f600", "</answer>"))
    text = (unit * (size // len(unit) + 1))[:size]
    return rng.choice((text, f"<think></think><tool_call>{text}</tool_call>"))


def _crowd(rng: random.Random, task: Task) -> str:
    """Return a response with as many values as it can hold, in one argument, as calls or as keys."""
    unit = rng.choice(("[]", "{}", "1", "1.5", '""'))
    values = ",".join([unit] * ((MAX_CHARACTERS - 200) // (len(unit) + 1)))
    keys = ",".join(f'"{number}":1' for number in range(20_000))
    tool = rng.choice(task.tools).name
    body = rng.choice((f"[{values}]", f'[{{"name":"{tool}","arguments":{{"a":[{values}]}}}}]', f"[{{{keys}}}]"))
    return f"<think></think><tool_call>{body}</tool_call>"


def _repeated(rng: random.Random, task: Task) -> str:
    """Return one call as often as a response may contain it, with the largest arguments that fit."""
    tool = rng.choice(task.tools)
    size = MAX_CHARACTERS // (2 * MAX_CALLS) // (1 + len(tool.parameters["properties"]))
    value = rng.choice(("x" * size, "\u0130" * 200, "a\n" * (size // 3), [""] * (size // 5), 2, -1, 500, ".", "a"))
    arguments = dict.fromkeys(tool.parameters["properties"], value)
    count = rng.choice((MAX_CALLS, MAX_CALLS, MAX_CALLS + 1))
    return _written([{"name": tool.name, "arguments": arguments}] * count)


def _grown(rng: random.Random, task: Task) -> str:
    """Return calls of offered tools that enlarge a world, each on the results of earlier ones."""
    number = rng.randrange(10**6)
    recipes: tuple[tuple[tuple[str, Entry], ...], ...] = (
        (("cp", {"source": "a", "destination": f"b{number}"}), ("mv", {"source": f"b{number}", "destination": "a"})),
        (("mkdir", {"dir_name": "a"}), ("cd", {"folder": "a"})),
        (("mkdir", {"dir_name": rng.choice((".", "..", "a"))}), ("cp", {"source": ".", "destination": "c"})),
        (("touch", {"file_name": f"f{number}"}), ("echo", {"content": "é\n" * 1_900, "file_name": f"f{number}"})),
        (("find", {}), ("du", {}), ("ls", {}), ("cat", {"file_name": f"f{number}"})),
        (("message_login", {"user_id": "USR001"}), ("send_message", {"receiver_id": "USR002", "message": "m" * 3_000})),
        (("view_messages_sent", {}), ("search_messages", {"keyword": "m"})),
        (("post_tweet", {"content": "t" * 900, "tags": ["#"] * 300}), ("search_tweets", {"keyword": "\u0130" * 255})),
        (("mention", {"tweet_id": number % 8, "mentioned_usernames": ["@"] * 900}), ("get_tweet", {"tweet_id": 0})),
        (("create_ticket", {"title": "t" * 1_500, "description": "d"}), ("get_user_tickets", {})),
        (("place_order", {"order_type": "Sell", "symbol": "AAPL", "price": 1, "amount": 1}), ("get_order_history", {})),
        (("fund_account", {"amount": 1e300}), ("get_transaction_history", {})),
        (("add_contact", {"user_name": f"u{number}"}), ("follow_user", {"username_to_follow": f"u{number}"})),
    )  # fmt: skip
    offered = {tool.name for tool in task.tools}
    usable = [recipe for recipe in recipes if any(name in offered for name, _ in recipe)]
    entries = [{"name": name, "arguments": arguments} for name, arguments in rng.choice(usable or recipes)]
    return _written((entries * MAX_CALLS)[: rng.choice((4, 20, MAX_CALLS))])


KINDS: dict[str, Callable[[random.Random, Task, UserTurn], str]] = {
    "ground truth": _ground_truth,
    "mutated": _mutated,
    "any calls": _any_calls,
    "broken protocol": _broken_protocol,
    "hostile": _hostile,
    "answer": _answer,
}
