"""The live state of one episode with a TRL environment class."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from envtune.environment.limits.size import Size, measure_state
from envtune.environment.python_tools import PythonTool
from envtune.environment.python_world import PythonWorld, attributes_of
from envtune.errors import UserError
from envtune.task import ToolCall

GET_REWARD = "get_reward"


@dataclass(frozen=True, slots=True)
class TRLView:
    """What the check of a turn reads of a world."""

    instance: Any
    """The object of the user's class."""
    opening: str
    """The text that ``reset`` returned; empty for None."""

    def reward(self) -> float:
        """Return the reward of the episode.

        Raises:
            UserError: ``get_reward`` raises, or its value is not a number in [0, 1].
        """
        where = f"{type(self.instance).__name__}.{GET_REWARD}()"
        try:
            value = self.instance.get_reward()
            reward = float(value) if value is not None else math.nan
        except Exception as error:  # a method of the user's
            raise UserError(f"{where} fails: {type(error).__name__}: {' '.join(str(error).split())}") from error
        if not 0 <= reward <= 1:
            raise UserError(f"{where} returns {value!r}: return a number in [0, 1], the share of the task that is done")
        return reward


class TRLWorld(PythonWorld):
    """One object of the class.

    It may hold what cannot be copied or compared, such as a client of a server. A copy is therefore a new object on
    which the calls so far are repeated, and two worlds are the same if ``reset`` returned the same text for both.

    Args:
        begin: returns a new object after its ``reset``, and the text of that; empty for None.
        tools: the tools of the task by name.
    """

    def __init__(self, begin: Callable[[], tuple[Any, str]], tools: Mapping[str, PythonTool]) -> None:
        instance, self._opening = begin()
        super().__init__(instance, tools)
        self._begin = begin
        self._calls: tuple[ToolCall, ...] = ()

    @property
    def view(self) -> TRLView:
        """The object, the text of its ``reset`` and its reward."""
        return TRLView(self._instance, self._opening)

    def copy(self) -> TRLWorld:
        """Return a world in the present state that shares nothing with this one."""
        copied = TRLWorld(self._begin, self._tools)
        for call in self._calls:
            copied.call(call)
        copied._offered = self._offered
        return copied

    def same_as(self, other: PythonWorld) -> bool:
        """Return whether ``reset`` returned the same text for both."""
        return isinstance(other, TRLWorld) and self._opening == other._opening

    def _answer(self, call: ToolCall) -> tuple[bool, str]:
        answer = super()._answer(call)
        if call.name in self._offered:
            self._calls = (*self._calls, call)
        return answer

    def _restorer(self) -> Callable[[], Any]:
        return lambda: self.copy()._instance

    def _size(self) -> Size:
        return measure_state(attributes_of(self._instance), into_objects=False)
