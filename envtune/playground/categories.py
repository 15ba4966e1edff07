"""The turns and tools of a task, from a story and a category.

``base`` and ``long_context`` use the story's turns; a crowded story makes the context long. For ``miss_param``, one
request lacks one of its values and must be answered without a call; the user supplies the value in the next turn. For
``miss_func``, one tool is withheld in a turn that needs it and handed over with the next, empty message, as in BFCL.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from envtune.bfcl.category import Category
from envtune.playground.phrase import Gap, quoted, stands_in
from envtune.playground.story_builder import CONVERSATION, StoryBuilder, StoryTurn, all_documents
from envtune.task import Split, ToolDocument, UserTurn

# The number of tools that a task documents, including those it needs.
LEAST_TOOLS, MOST_TOOLS = 5, 10
# Other tools that could replace a withheld one: they are not offered, and the story must not need them.
SUBSTITUTES: Mapping[str, frozenset[str]] = {
    tool: frozenset(others.split())
    for tool, others in {
        "add": "sum_values subtract",
        "cat": "tail grep sort diff",
        "close_ticket": "edit_ticket resolve_ticket",
        "cp": "echo touch",
        "diff": "cat tail",
        "displayCarStatus": "check_tire_pressure",
        "edit_ticket": "resolve_ticket close_ticket",
        "find": "ls",
        "get_account_info": "get_transaction_history",
        "get_credit_card_balance": "get_all_credit_cards",
        "get_flight_cost": "book_flight",
        "get_order_details": "get_order_history",
        "get_stock_info": "filter_stocks_by_price notify_price_change",
        "get_ticket": "get_user_tickets",
        "get_user_stats": "get_user_tweets",
        "get_user_tickets": "get_ticket",
        "get_user_tweets": "search_tweets get_tweet",
        "grep": "cat tail",
        "imperial_si_conversion": "multiply divide",
        "liter_to_gallon": "gallon_to_liter",
        "ls": "find",
        "mean": "sum_values add divide",
        "multiply": "divide power percentage",
        "mv": "cp",
        "resolve_ticket": "edit_ticket close_ticket",
        "retrieve_invoice": "get_booking_history",
        "rm": "mv rmdir",
        "search_messages": "view_messages_sent",
        "sort": "cat tail",
        "subtract": "add",
        "sum_values": "add mean",
        "tail": "cat",
        "view_messages_sent": "search_messages",
        "wc": "cat tail",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of a task that depends on its category."""

    turns: tuple[UserTurn, ...]
    tools: tuple[ToolDocument, ...]
    origins: tuple[int, ...]
    """For each turn, the index of the story's turn that its calls come from; -1 for a turn without calls."""


def shape_story(story: StoryBuilder, category: Category, split: Split) -> Shape | None:
    """Return the story as turns and tools of a category; None if it has no value or tool that can be withheld."""
    messages = [_message(turn, index, split, story.rng) for index, turn in enumerate(story.turns)]
    if category is Category.MISS_PARAM:
        return _without_value(story, messages, split)
    if category is Category.MISS_FUNC:
        return _without_tool(story, messages)
    turns = [UserTurn(message, tuple(turn.calls)) for message, turn in zip(messages, story.turns, strict=True)]
    return Shape(tuple(turns), _tools(story, ()), tuple(range(len(turns))))


def _message(turn: StoryTurn, index: int, split: Split, rng: random.Random, vague: Gap | None = None) -> str:
    """Return the user's message, without the value of the gap ``vague``. Two requests of a turn may swap places."""
    before = CONVERSATION["link" if index else "opening"].say(split, rng, {})
    texts = [
        (vague if vague is not None and phrase.gap is vague else phrase).say(split, rng, slots)
        for phrase, slots in turn.parts
    ]
    if len(texts) > 1 and rng.random() < 0.5:
        texts.reverse()
    return before + " ".join(texts)


def _without_value(story: StoryBuilder, messages: list[str], split: Split) -> Shape | None:
    parts = ((index, *part) for index, turn in enumerate(story.turns) for part in turn.parts)
    places = [(index, phrase.gap, slots) for index, phrase, slots in parts if phrase.gap is not None]
    rng = story.rng
    rng.shuffle(places)
    for index, gap, slots in places:
        value = slots[gap.slot]
        vague = _message(story.turns[index], index, split, rng, gap)
        earlier = (result for turn in story.turns[:index] for result in turn.results)
        texts, items = (*messages[:index], vague, *earlier), value if isinstance(value, list) else [value]
        if not any(stands_in(item, text) for text in texts for item in items):
            supply = CONVERSATION["supply"].say(split, rng, {"what": gap.what, "value": quoted(value)})
            return _with_empty_turn(story, messages, index, (vague, supply), ())
    return None


def _without_tool(story: StoryBuilder, messages: list[str]) -> Shape | None:
    places = list(_withholdable(story))
    if not places:
        return None
    index, tool = story.rng.choice(places)
    return _with_empty_turn(story, messages, index, (messages[index], ""), (tool,))


def _with_empty_turn(
    story: StoryBuilder, messages: list[str], index: int, said: tuple[str, str], withheld: tuple[str, ...]
) -> Shape:
    """Split the turn ``index`` in two: one that cannot be acted on, and one that can."""
    turns = [UserTurn(message, tuple(turn.calls)) for message, turn in zip(messages, story.turns, strict=True)]
    turns[index : index + 1] = [UserTurn(said[0], ()), UserTurn(said[1], turns[index].ground_truth, withheld)]
    origins = [*range(index), -1, *range(index, len(story.turns))]
    return Shape(tuple(turns), _tools(story, withheld), tuple(origins))


def _withholdable(story: StoryBuilder) -> Iterator[tuple[int, str]]:
    """Yield each tool that can be withheld, with its turn: asked for there, not needed before, not replaceable."""
    needed = _needed(story.turns)
    for index, turn in enumerate(story.turns):
        before = _needed(story.turns[:index])
        asked_for = {call.name for place, call in enumerate(turn.calls) if place not in turn.prerequisites}
        # In the order of the calls, because a set's order differs between processes.
        for tool in dict.fromkeys(call.name for call in turn.calls):
            if tool in asked_for and tool not in before and not needed & SUBSTITUTES.get(tool, frozenset()):
                yield index, tool


def _needed(turns: Iterable[StoryTurn]) -> set[str]:
    return {call.name for turn in turns for call in turn.calls}


def _tools(story: StoryBuilder, withheld: tuple[str, ...]) -> tuple[ToolDocument, ...]:
    """Return the documents of the needed tools and of some others of the classes, in the classes' order."""
    needed = _needed(story.turns)
    unwanted = {other for tool in withheld for other in SUBSTITUTES.get(tool, ())} | needed
    documents = all_documents(story.toolboxes)
    others = [document.name for document in documents if document.name not in unwanted]
    wanted = story.rng.randint(max(LEAST_TOOLS, len(needed)), MOST_TOOLS)
    offered = needed.union(story.rng.sample(others, min(len(others), wanted - len(needed))))
    return tuple(document for document in documents if document.name in offered)
