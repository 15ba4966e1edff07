"""The batch that is being decoded: chains take seats in it, sample, wait for what follows, go on, and make room.

Only chains that sample a token take part in a pass, and what came between two completions (an observation) is fed in
the pass in which the others get their next token. Runs no environment and knows no episodes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.chain import Chain
from envtune.rollout.generator import Request
from envtune.rollout.kv_attention import Feed, StepPass
from envtune.rollout.kv_rows import GROWTH, KvRows
from envtune.rollout.prompts import PASS_TOKENS, Prompt, Prompts
from envtune.rollout.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Limits:
    """At most ``max_seats`` chains have keys and values, in at most ``max_slots`` slots; more only for a single one."""

    max_seats: int
    max_slots: int


@dataclass(slots=True, eq=False)
class Seat:
    """Where the keys and values of a chain are: its prompt, and the row ``row`` of the tails for what follows.

    ``pending`` are the ids to feed before the next token is sampled: none where the prompt's logits are at hand.
    """

    chain: Chain
    prompt: Prompt
    row: int
    pending: tuple[int, ...] = ()


class RunningBatch:
    """Seats are in the order of their rows, without gaps: first those that sample, then those that do not.

    ``stop_ids`` end every request. ``fed_tokens`` counts the tokens that went through the model.
    """

    def __init__(self, model: PreTrainedModel, sampling: Sampling, limits: Limits, stop_ids: frozenset[int]) -> None:
        self.fed_tokens = 0
        self._model, self._sampling, self._limits, self._stop_ids = model, sampling, limits, stop_ids
        self._prompts, self._tails = Prompts(), KvRows()
        self._waiting: deque[Chain] = deque()
        self._seats: list[Seat] = []
        self._sampling_seats = 0
        self._joining: list[Seat] = []

    @property
    def busy(self) -> bool:
        """Some chain samples or wants to."""
        return bool(self._sampling_seats or self._joining or self._waiting)

    def enter(self, number: int, request: Request) -> None:
        """A new chain that takes a seat as soon as one is free; those that entered before go first."""
        self._waiting.append(Chain(number, request))

    def resume(self, seat: Seat, request: Request | None) -> None:
        """What follows at a seat that ``step`` has returned; None ends the chain."""
        chain = seat.chain
        if request is None:
            self._vacate(seat)
        elif not chain.is_continued_by(request):
            self._vacate(seat)
            self.enter(chain.number, request)
        else:
            chain.begin(request)
            if self._has_room(chain, len(self._seats)):
                self._reserve(chain, len(self._seats))
                self._joining.append(seat)
            else:
                chain.lost_seat = True
                self._vacate(seat)
                self._waiting.append(chain)

    def step(self) -> list[Seat]:
        """One more token for every chain that can sample; returns the seats of those that have their completion."""
        while self._waiting and self._has_room(self._waiting[0], len(self._seats) + 1):
            self._take_seat(self._waiting.popleft())
        self.fed_tokens += self._prompts.compute(self._model)
        self._join()
        seats = self._seats[: self._sampling_seats]
        if not seats:
            return []
        ids, logprobs = self._sampling.choose(self._logits(seats), [seat.chain.next_noise for seat in seats])
        for seat, token, logprob in zip(seats, ids, logprobs, strict=True):
            seat.chain.append(token, logprob, self._stop_ids)
            seat.pending = (token,)
        finished = [seat for seat in seats if seat.chain.finished]
        for seat in finished:
            self._sampling_seats -= 1
            self._exchange(seat, self._sampling_seats)
        return finished

    def _logits(self, seats: list[Seat]) -> Tensor:
        """[seat, vocabulary], after feeding what is pending. Seats of which nothing is pending are the last ones."""
        feeds = [Feed(seat.prompt.row, seat.row, seat.pending) for seat in seats if seat.pending]
        logits = [seat.prompt.logits for seat in seats[len(feeds) :]]
        if feeds:
            kv_pass = StepPass(self._prompts.rows, self._tails, feeds, self._model.device)
            self.fed_tokens += sum(len(feed.tokens) for feed in feeds)
            logits.insert(0, self._model(**kv_pass.arguments).logits[0])
        return torch.cat(logits)

    def _join(self) -> None:
        """Lets chains sample again, as many as may be fed in one pass; in the order that ``_logits`` wants."""
        for seat in self._joining:
            held = len(seat.chain.prompt_ids) + self._tails.lengths[seat.row]
            seat.pending = seat.chain.request.ids[held:]
        self._joining.sort(key=lambda seat: (not seat.pending, len(seat.pending)))
        tokens = 0
        while self._joining and (tokens == 0 or tokens + len(self._joining[0].pending) <= PASS_TOKENS):
            seat = self._joining.pop(0)
            tokens += len(seat.pending)
            self._exchange(seat, self._sampling_seats)
            self._sampling_seats += 1

    def _has_room(self, chain: Chain, seats: int) -> bool:
        """Whether the chain can be one of ``seats`` that are taken."""
        slots = self._tails.needed_slots(seats, self._room_of(chain)) + self._prompts.needed_slots(chain.prompt_ids)
        return seats == 1 or (seats <= self._limits.max_seats and slots <= self._limits.max_slots)

    def _reserve(self, chain: Chain, seats: int) -> None:
        free = self._limits.max_slots - self._prompts.needed_slots(chain.prompt_ids)
        self._tails.reserve(seats, self._room_of(chain), free)

    def _room_of(self, chain: Chain) -> int:
        # A chain that lost its seat takes the next one with some room to spare, or it would lose that just as soon.
        return int(chain.tail_length * (GROWTH if chain.lost_seat else 1))

    def _take_seat(self, chain: Chain) -> None:
        self._reserve(chain, len(self._seats) + 1)
        free = self._limits.max_slots - self._tails.needed_slots(len(self._seats) + 1, 0)
        prompt = self._prompts.take(chain.prompt_ids, free)
        self._seats.append(Seat(chain, prompt, self._tails.append()))
        self._joining.append(self._seats[-1])
        chain.lost_seat = False

    def _vacate(self, seat: Seat) -> None:
        self._exchange(seat, len(self._seats) - 1)
        self._seats.pop()
        self._tails.pop()
        self._prompts.release(seat.prompt)

    def _exchange(self, seat: Seat, row: int) -> None:
        """Moves a seat to another row, and the one there to the seat's."""
        other, left = self._seats[row], seat.row
        self._tails.swap(left, row)
        self._seats[row], self._seats[left] = seat, other
        seat.row, other.row = row, left
