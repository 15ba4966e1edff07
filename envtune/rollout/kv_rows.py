"""Keys and values of a batch of token sequences, one row each, in the cache interface of transformers.

A row holds its tokens in order, without padding or holes: a query attends to all slots up to its own, rows of any
lengths advance together, and every prefix of a row is itself a valid row. A row may have a trunk: its first tokens are
then those of another row, referenced instead of copied, so that a group of episodes holds its common prompt once. This
file samples nothing and knows no requests.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """The first ``length`` tokens of the row ``row`` of ``rows``."""

    rows: KvRows
    row: int
    length: int

    @property
    def key(self) -> tuple[int, int, int]:
        return id(self.rows), self.row, self.length

    def as_trunk(self, shared: bool) -> Prefix | None:
        """The part of this prefix to reference. A trunk has none of its own, so beyond the row's it must be copied."""
        trunk = self.rows.trunks[self.row]
        if trunk is None:
            return self if shared else None
        return Prefix(trunk.rows, trunk.row, min(trunk.length, self.length))

    def keys_and_values(self, layer: int) -> tuple[Tensor, Tensor]:
        """Both [head, token, dimension]; only of rows without a trunk."""
        stored = self.rows.layers[layer]
        return stored.keys[self.row, :, : self.length], stored.values[self.row, :, : self.length]


@dataclass(frozen=True, slots=True)
class Feed:
    """The tokens of one forward pass: ``tokens[i]``, at least one, continue the row ``first + i``."""

    first: int
    tokens: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> range:
        return range(self.first, self.first + len(self.tokens))


class KvRows:
    """``len(trunks)`` rows with ``capacity`` slots each for what follows a row's trunk (None: everything).

    ``ids[row]`` are the tokens whose keys and values the row holds, those of its trunk included. Buffers are allocated
    at the first pass through each layer.
    """

    def __init__(self, trunks: Sequence[Prefix | None], capacity: int, device: torch.device) -> None:
        self.trunks = list(trunks)
        self.capacity = capacity
        self.device = device
        self.ids: list[list[int]] = [trunk.rows.ids[trunk.row][: trunk.length] if trunk else [] for trunk in trunks]
        self._cache = Cache(layer_class_to_replicate=cast("type[CacheLayerMixin]", partial(_RowLayer, self)))
        self._pass = _Pass(slice(0, 0), torch.empty(0), torch.empty(0), None, 0, True)

    @classmethod
    def begin(cls, prefixes: Sequence[Prefix | None], lengths: Sequence[int], device: torch.device) -> KvRows:
        """New rows that begin with these prefixes (None: empty) and can grow to ``lengths`` tokens.

        A prefix that several rows begin with becomes their trunk; of any other, the trunk is shared and the rest
        copied.
        """
        uses = Counter(prefix.key for prefix in prefixes if prefix)
        trunks = [p.as_trunk(shared=uses[p.key] > 1) if p else None for p in prefixes]
        capacity = max(n - (trunk.length if trunk else 0) for n, trunk in zip(lengths, trunks, strict=True))
        new = cls(trunks, capacity, device)
        for source in {id(prefix.rows): prefix.rows for prefix in prefixes if prefix}.values():
            new._copy(source, {row: prefix for row, prefix in enumerate(prefixes) if prefix and prefix.rows is source})
        return new

    @property
    def layers(self) -> list[_RowLayer]:
        return cast("list[_RowLayer]", self._cache.layers)

    @property
    def slots(self) -> int:
        """Slots allocated here and in the rows that trunks refer to."""
        trunks = {id(trunk.rows): trunk.rows for trunk in self.trunks if trunk}
        return len(self.ids) * self.capacity + sum(rows.slots for rows in trunks.values())

    def feed(self, feed: Feed) -> dict[str, Any]:
        """Prepares the pass that writes ``feed`` and returns the model's arguments for it.

        Tokens are right-padded to the pass's longest row; padding is neither stored nor attended to. The mask
        [row, 1, width, slot], True = attend, covers what follows the trunks; it is None where all rows are empty and
        plain causal attention within the pass does the same.
        """
        width = max(map(len, feed.tokens))
        begins = not any(self.ids[row] for row in feed.rows)
        offsets = self._column([self._offset(row) for row in feed.rows])
        slots = self._column([len(self.ids[row]) for row in feed.rows]) - offsets + self._range(width)
        rows = self._column(feed.rows).expand_as(slots)
        real = None
        if any(len(tokens) < width for tokens in feed.tokens):
            counts = self._column([len(tokens) for tokens in feed.tokens])
            real = (self._range(width) < counts).flatten().nonzero()[:, 0]
        for row, tokens in zip(feed.rows, feed.tokens, strict=True):
            self.ids[row].extend(tokens)
        extent = max(len(self.ids[row]) - self._offset(row) for row in feed.rows)
        self._pass = _Pass(
            slice(feed.rows.start, feed.rows.stop), _pick(rows, real), _pick(slots, real), real, extent, begins
        )
        padded = [(*tokens, *(0,) * (width - len(tokens))) for tokens in feed.tokens]
        return {
            "input_ids": torch.tensor(padded, device=self.device),
            "position_ids": slots + offsets,
            "attention_mask": None if begins else (self._range(extent) <= slots[:, :, None])[:, None],
            "past_key_values": self._cache,
            "use_cache": True,
            "trunks": tuple(self._members(feed)) if any(self.trunks[row] for row in feed.rows) else (),
        }

    def _copy(self, source: KvRows, taken: dict[int, Prefix]) -> None:
        """Begins rows with what follows their trunk in the prefixes ``taken``, all of ``source``."""
        taken = {row: prefix for row, prefix in taken.items() if prefix.length > self._offset(row)}
        slots = max((prefix.length - self._offset(row) for row, prefix in taken.items()), default=0)
        for index, layer in enumerate(source.layers if taken else ()):
            if index == len(self.layers):
                self.layers.append(_RowLayer(self))
            self.layers[index].copy(layer, [prefix.row for prefix in taken.values()], list(taken), slots)
        for row, prefix in taken.items():
            self.ids[row] = prefix.rows.ids[prefix.row][: prefix.length]

    def swap(self, row: int, other: int) -> None:
        for layer in self.layers:
            for buffer in (layer.keys, layer.values):
                buffer[[row, other]] = buffer[[other, row]]
        self.ids[row], self.ids[other] = self.ids[other], self.ids[row]
        self.trunks[row], self.trunks[other] = self.trunks[other], self.trunks[row]

    def _members(self, feed: Feed) -> Iterator[tuple[Prefix | None, Tensor]]:
        """Every trunk in a pass, and None, with the pass's rows that have it, counted from the pass's first."""
        members: dict[tuple[int, int, int] | None, tuple[Prefix | None, list[int]]] = {}
        for place, row in enumerate(feed.rows):
            trunk = self.trunks[row]
            members.setdefault(trunk.key if trunk else None, (trunk, []))[1].append(place)
        for trunk, places in members.values():
            yield trunk, torch.tensor(places, device=self.device)

    def _offset(self, row: int) -> int:
        trunk = self.trunks[row]
        return trunk.length if trunk else 0

    def _range(self, stop: int) -> Tensor:
        return torch.arange(stop, device=self.device)

    def _column(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), device=self.device)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Where the tokens of the current pass go: flat ``rows`` and ``slots`` of the ``real`` ones (None: all are)."""

    span: slice
    rows: Tensor
    slots: Tensor
    real: Tensor | None
    extent: int
    begins: bool


class PrefixIndex:
    """Finds, among all rows of some ``KvRows``, the one that shares the longest prefix with given ids."""

    def __init__(self, kept: Iterable[KvRows]) -> None:
        entries = [(ids, rows, row) for rows in kept for row, ids in enumerate(rows.ids)]
        self._entries = sorted(entries, key=lambda entry: entry[0])
        self._keys = [ids for ids, _, _ in self._entries]

    def longest(self, ids: Sequence[int]) -> Prefix | None:
        # In lexicographic order, the sequence that shares most with a new one is a neighbour of its place.
        place = bisect(self._keys, list(ids))
        best: Prefix | None = None
        for key, rows, row in self._entries[max(0, place - 1) : place + 1]:
            length = _common_length(key, ids)
            if length > (best.length if best else 0):
                best = Prefix(rows, row, length)
        return best


class _RowLayer(CacheLayerMixin):
    """One layer's buffers, keys and values [row, head, slot, dimension]."""

    keys: Tensor
    values: Tensor

    def __init__(self, owner: KvRows) -> None:
        super().__init__()
        self._owner = owner

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, capacity = len(self._owner.ids), self._owner.capacity
        # Zeros: a masked slot still enters a product with 0, and 0 * NaN is NaN.
        self.keys = key_states.new_zeros(rows, key_states.shape[1], capacity, key_states.shape[3])
        self.values = value_states.new_zeros(rows, value_states.shape[1], capacity, value_states.shape[3])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Stores a pass's keys and values [row, head, width, dimension]; returns what its queries attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        current = self._owner._pass
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            buffer[current.rows, :, current.slots] = _pick(
                states.transpose(1, 2).flatten(0, 1), current.real, flat=True
            )
        if current.begins:
            return key_states, value_states
        return self.keys[current.span, :, : current.extent], self.values[current.span, :, : current.extent]

    def copy(self, source: _RowLayer, from_rows: list[int], to_rows: list[int], length: int) -> None:
        if not self.is_initialized:
            self.lazy_initialization(source.keys, source.values)
        self.keys[to_rows, :, :length] = source.keys[from_rows, :, :length]
        self.values[to_rows, :, :length] = source.values[from_rows, :, :length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        # Only asked where `feed` gives no mask, that is, where a pass attends to nothing but itself.
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self._owner.capacity


def _pick(values: Tensor, real: Tensor | None, flat: bool = False) -> Tensor:
    values = values if flat else values.flatten()
    return values if real is None else values[real]


def _common_length(ids: Sequence[int], other: Sequence[int]) -> int:
    shorter = min(len(ids), len(other))
    return next((i for i in range(shorter) if ids[i] != other[i]), shorter)
