"""The texts that an agent could have read before a ground-truth call; rather too many than too few.

Stated texts are the user's messages, the tools' documents and the results of all ground-truth calls so far. Shown texts
are the names and contents of the whole file tree, the results of reading tools without an argument or with any name or
number read before (in two rounds, the second with the texts of the first), and the messages' numbers in every currency.
Other tools with two or more arguments are not tried: the ground truth itself calls those that it needs.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envtune.bfcl.audit.arithmetic import numbers_in
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.task import Task, ToolCall

# Reading tools by their argument. They do not change a world.
WITHOUT_ARGUMENT = (
    "check_tire_pressure",
    "du",
    "find_nearest_tire_shop",
    "get_account_info",
    "get_all_credit_cards",
    "get_current_time",
    "get_order_history",
    "get_user_tickets",
    "get_watchlist",
    "list_all_airports",
    "list_all_following",
    "list_users",
    "posting_get_login_status",
    "view_messages_sent",
)
WITH_TEXT = (
    "displayCarStatus",
    "get_available_stocks",
    "get_booking_history",
    "get_nearest_airport_by_city",
    "get_stock_info",
    "get_symbol_by_name",
    "get_user_id",
    "get_user_tweets",
    "get_zipcode_based_on_city",
)
WITH_NUMBER = ("get_order_details", "get_ticket", "get_tweet", "get_tweet_comments")
ROUNDS = 2
MAX_WORDS_OF_A_NAME = 3
MAX_CHARACTERS_OF_A_WORD = 40
MAX_CHARACTERS_OF_WORDS = 20_000
# Numbers in long lists are not operands, because with a thousand of them any value could be computed.
MAX_ITEMS_OF_OPERANDS = 20
MAX_CHARACTERS_OF_OPERANDS = 500


class ReadableTexts:
    """The texts readable in one turn of a task after the first ``calls`` ground-truth calls of the turn."""

    def __init__(self, task: Task, turn: int, calls: int) -> None:
        toolbox = Toolbox(task)
        done = [call for user_turn in task.turns[:turn] for call in user_turn.ground_truth]
        results = [toolbox.call(call).text for call in (*done, *task.turns[turn].ground_truth[:calls])]
        self.messages = tuple(user_turn.message for user_turn in task.turns[: turn + 1])
        self.results = tuple(text for result in results for text in _texts(result))
        self._documents = {
            tool.name: json.dumps([tool.name, tool.description, tool.parameters, tool.response]) for tool in task.tools
        }
        self._toolbox = toolbox
        self._shown: list[tuple[str, ...]] = []
        self._tried: set[str] = set()

    def document(self, tool: str) -> str:
        """Return a tool's document."""
        return self._documents[tool]

    @property
    def stated(self) -> tuple[str, ...]:
        """The messages, results and documents so far."""
        return (*self.messages, *self.results, *self._documents.values())

    def widening(self) -> Iterator[tuple[str, ...]]:
        """Yield the stated texts together with more and more of the shown ones, computed on demand."""
        for count in range(1 + ROUNDS + 1):
            if count == len(self._shown):
                self._shown.append(tuple(self._look(count)))
            yield (*self.stated, *itertools.chain(*self._shown[: count + 1]))

    @property
    def operands(self) -> frozenset[float]:
        """The numbers in messages and results that a value may be computed from, without the items of long lists."""
        texts = (*self.messages, *(part for text in (*self.results, *self.shown) for part in _few_scalars(text)))
        return numbers_in(texts)

    @property
    def shown(self) -> tuple[str, ...]:
        """All texts of files and reading tools."""
        for _ in self.widening():
            pass
        return tuple(itertools.chain(*self._shown))

    def _look(self, count: int) -> Iterator[str]:
        if count == 0:
            files = self._toolbox.view.get("GorillaFileSystem")
            yield from _scalars(files.root) if files else ()
            for tool in WITHOUT_ARGUMENT:
                yield from _read(self._toolbox, tool, {})
            yield from _exchanged(self._toolbox, self.messages, self._documents)
            return
        texts = (*self.messages, *self.results, *self._shown[0]) if count == 1 else self._shown[-1]
        words = {word for text in texts for word in _words(text) if _is_name(word)} - self._tried
        self._tried |= words
        yield from _read_with(self._toolbox, words, self._documents if count == 1 else {})


def _read_with(toolbox: Toolbox, words: set[str], documents: Mapping[str, str]) -> Iterator[str]:
    """Yield the results of tools with one argument for these words and those of the tool's document."""
    numbers = sorted(int(word) for word in words if word.isdecimal())
    for tool in WITH_TEXT:
        for word in sorted(words.union(_words(documents.get(tool, "")))):
            yield from _read(toolbox, tool, {PARAMETERS[tool][0]: word})
    for tool in WITH_NUMBER:
        for number in numbers:
            yield from _read(toolbox, tool, {PARAMETERS[tool][0]: number})


def _exchanged(toolbox: Toolbox, messages: Iterable[str], documents: Mapping[str, str]) -> Iterator[str]:
    """Yield every number of the messages in every currency."""
    tool = "compute_exchange_rate"
    if tool in toolbox.tools:
        currencies = sorted(set(re.findall(r"\b[A-Z]{3}\b", documents[tool])))
        for value, base, target in itertools.product(sorted(numbers_in(messages)), currencies, currencies):
            yield from _read(toolbox, tool, {"base_currency": base, "target_currency": target, "value": value})


def _read(toolbox: Toolbox, tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return the texts in a call's result; none for a failure or a tool that the task does not have."""
    if tool not in toolbox.tools:
        return []
    result = toolbox.call(ToolCall(tool, arguments))
    return _texts(result.text) if result.ok else []


def _texts(result: str) -> list[str]:
    """Return a result and, if it is JSON, the texts and numbers in it, whose quotes and line ends it escapes."""
    return [result, *_scalars(json.loads(result))] if _is_json(result) else [result]


def _scalars(value: Any) -> Iterator[str]:
    """Yield every text and number in a JSON value or file tree, including keys and names."""
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, str | int | float):
            yield str(part)
        # A file refers to its folder, so parts recur.
        elif part is not None and id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, dict):
                waiting.extend([*part.keys(), *part.values()])
            elif isinstance(part, list | tuple | set):
                waiting.extend(part)
            else:
                # Modification times have no attributes.
                waiting.extend(getattr(part, "__dict__", {}).values())


def _few_scalars(result: str) -> Iterator[str]:
    """Yield the numbers and short texts in a JSON result, without those in long lists; nothing for other texts."""
    waiting = [json.loads(result)] if result[:1] in "{[" and _is_json(result) else []
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part if len(part) <= MAX_ITEMS_OF_OPERANDS else ())
        elif part is not None and len(str(part)) <= MAX_CHARACTERS_OF_OPERANDS:
            yield str(part)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _words(text: str) -> Iterator[str]:
    """Yield the first words of a text, and phrases that begin with a capitalised one, with and without a full stop."""
    words = re.findall(r"[\w.$#@-]+", text[:MAX_CHARACTERS_OF_WORDS].replace("’", " ").replace("'", " "))
    for start, word in enumerate(words):
        for end in range(start + 1, start + 1 + (MAX_WORDS_OF_A_NAME if word[:1].isupper() else 1)):
            name = " ".join(words[start:end])
            if len(name) <= MAX_CHARACTERS_OF_A_WORD:
                yield name
                yield name.rstrip(".,")


def _is_name(word: str) -> bool:
    """Return True if a word may be a name: it begins with a capital or contains a digit or sign."""
    return word[:1].isupper() or not word.isalpha()
