"""Mixed hints: in every group, a fixed number of members plays without hints.

The rewards of the two kinds are not compared with each other: hints raise the reward of a member without making its
policy a better one. ``Trajectory.hints`` is the kind of an episode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from envtune.checked import checked
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.augmentation.none import NoAugmentation
from envtune.errors import UserError

if TYPE_CHECKING:
    from envtune.environment.augmentation import Hints
    from envtune.environment.interface import Environment
    from envtune.task import Task

MIN_OF_A_KIND = 2
"""The smallest number of members with or without hints: the baseline of a single one is its own reward."""


@checked
class Mixed:
    """Give the hints of an augmentation to some members of each group, chosen by their number.

    Outside of groups, as in an evaluation, every episode gets them.

    Args:
        hints: the augmentation whose hints are given.
        share: the share of a group's members that play without hints, in (0, 1).

    Raises:
        UserError: a setting is not allowed, or ``hints`` gives none or withdraws them itself.
    """

    def __init__(self, hints: Augmentation, share: Annotated[float, Field(gt=0, lt=1)]) -> None:
        if isinstance(hints, Mixed | Annealed | NoAugmentation):
            raise UserError(
                f"augmentation.hints of augmentation=mixed is {type(hints).__name__}: choose Actionable or "
                "SchemaHints, because augmentation.share alone withholds hints"
            )
        self._hints, self._share = hints, share

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of an episode that plays with hints."""
        return self._hints.for_episode(environment, task, seed)

    def members_with_hints(self, group_size: int) -> tuple[bool, ...]:
        """Return for each member of a group whether it plays with hints: the first ones do.

        Raises:
            UserError: one of the kinds has fewer than two members.
        """
        without = round(self._share * group_size)
        if not MIN_OF_A_KIND <= without <= group_size - MIN_OF_A_KIND:
            raise UserError(
                f"augmentation.share={self._share} of grpo.group_size={group_size} makes {without} members without "
                f"hints and {group_size - without} with them: choose a share and a size that make two or more of each "
                "kind, because a member is compared with the others of its kind"
            )
        return tuple(member < group_size - without for member in range(group_size))
