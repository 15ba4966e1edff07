"""User messages with words left out, exchanged and inserted, so that the model does not memorise sentences.

Validation and test tasks use other sentences, to which a small model generalises only if it attends to single words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Set
from dataclasses import replace

from envtune.playground import values
from envtune.playground.source import Story
from envtune.task import leaves

REWORDED_MESSAGES = 0.6
# Shares of the plain words of a message: left out, exchanged with the next, followed by a filler.
LEFT_OUT, EXCHANGED, FOLLOWED = 0.15, 0.06, 0.08
# Share of the sentences that begin with a verb and are reworded as a wish.
WISHED = 0.4
IDENTIFYING = frozenset(word.lower() for word in (*values.NOUNS, *values.ADJECTIVES))
FILLERS = ("please", "now", "just", "then", "so", "also", "here", "really", "again", "well")
WISHES = (
    "I want to", "I need to", "I would like to", "We have to", "You should", "Help me to", "It is time to",
    "The next thing is to", "I ask you to", "Somebody has to", "It would be good to", "Be so good and",
)  # fmt: skip
_VERB = re.compile(
    r"(^|[.:?] )("
    r"Add|Ask|Begin|Book|Buy|Cancel|Change|Check|Close|Comment|Compare|Copy|Count|Create|Delete|Drive|Fill"
    r"|Find|Follow|Get|Give|List|Lock|Log|Look|Make|Mark|Move|Open|Order|Place|Post|Press|Print|Put|Read"
    r"|Remove|Rename|Resolve|Retweet|Search|Send|Set|Share|Show|Sign|Sort|Start|Stop|Take|Tell|Turn|Unlock"
    r"|Use|Withdraw|Write"
    r") "
)
_PIECE = re.compile(r"'[^']*'\S*|\S+")
_PLAIN = re.compile(r"[a-z]+")


def reworded(story: Story, rng: random.Random) -> Story:
    """Return the story with reworded messages.

    Values of ground-truth calls, quoted text, and the words by which the playground identifies things are kept.
    """
    arguments = [leaf for turn in story.task.turns for call in turn.ground_truth for leaf in leaves(call.arguments)]
    kept = IDENTIFYING.union(word for value in arguments for word in str(value).lower().split())
    turns = tuple(
        replace(turn, message=_reworded(turn.message, kept, rng)) if rng.random() < REWORDED_MESSAGES else turn
        for turn in story.task.turns
    )
    return replace(story, task=replace(story.task, turns=turns))


def _reworded(message: str, kept: Set[str], rng: random.Random) -> str:
    pieces = _PIECE.findall(_wished(message, rng))
    changed: list[str] = []
    while pieces:
        piece = pieces.pop(0)
        if not _is_plain(piece, kept):
            changed.append(piece)
            continue
        if pieces and _is_plain(pieces[0], kept) and rng.random() < EXCHANGED:
            piece, pieces[0] = pieces[0], piece
        if rng.random() >= LEFT_OUT:
            changed.append(piece)
        if rng.random() < FOLLOWED:
            changed.append(rng.choice(FILLERS))
    return " ".join(changed)


def _wished(message: str, rng: random.Random) -> str:
    """Reword some of the sentences that begin with a verb as wishes: "I want to list" for "List"."""

    def wish(found: re.Match[str]) -> str:
        before, verb = found.groups()
        return f"{before}{rng.choice(WISHES)} {verb.lower()} " if rng.random() < WISHED else found.group()

    return _VERB.sub(wish, message)


def _is_plain(piece: str, kept: Set[str]) -> bool:
    return _PLAIN.fullmatch(piece) is not None and piece not in kept
