"""Keys and values of token sequences in buffers that grow."""

from __future__ import annotations

import torch
from torch import Tensor

# Buffers grow to at least this factor of their size, so that few growths copy them.
GROWTH = 1.5


class KvRows:
    """Sequences of keys and values, one row each: in every layer two buffers [row, head, token, dimension].

    A row holds ``lengths[row]`` tokens from position 0 on. The buffers of a layer are allocated when it first writes.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._rows = 0
        self._capacity = 0

    def needed_tokens(self, rows: int, length: int) -> int:
        """Return the tokens that would be allocated for ``rows`` rows, the longest of ``length`` tokens."""
        if length > self._capacity:
            return rows * length
        return max(rows, self._rows) * self._capacity

    def reserve(self, rows: int, length: int, max_tokens: int) -> None:
        """Allocate ``rows`` rows of ``length`` tokens, with room to grow as far as ``max_tokens`` in all allows."""
        if rows <= self._rows and length <= self._capacity:
            return
        capacity = self._capacity
        if length > capacity:
            rows = max(rows, len(self.lengths))
            roomy = max(length, int(capacity * GROWTH))
            capacity = max(length, min(roomy, max_tokens // rows))
        else:
            rows = max(rows, min(int(self._rows * GROWTH), max_tokens // capacity))
        kept = min(rows, self._rows)
        for buffers in (self.keys, self.values):
            for layer, buffer in enumerate(buffers):
                # Zeros: a masked position still enters a product with 0, and 0 * NaN is NaN.
                buffers[layer] = buffer.new_zeros(rows, buffer.shape[1], capacity, buffer.shape[3])
                buffers[layer][:kept, :, : self._capacity] = buffer[:kept]
        self._rows, self._capacity = rows, capacity

    def append(self) -> int:
        """Add an empty row, for which ``reserve`` has made room, and return its index."""
        self.lengths.append(0)
        return len(self.lengths) - 1

    def pop(self) -> None:
        """Remove the last row. Its memory is used by the next row."""
        self.lengths.pop()

    def write(self, layer: int, rows: Tensor, positions: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write keys and values [1, head, token, dimension] to ``rows`` [token] at ``positions`` [token]."""
        if layer == len(self.keys):
            for buffers, states in ((self.keys, keys), (self.values, values)):
                buffers.append(states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3]))
        self.keys[layer][rows, :, positions] = keys[0].transpose(0, 1)
        self.values[layer][rows, :, positions] = values[0].transpose(0, 1)

    def swap(self, row: int, other: int) -> None:
        """Swap two rows."""
        if row == other:
            return
        length = max(self.lengths[row], self.lengths[other])
        for buffer in (*self.keys, *self.values):
            buffer[[row, other], :, :length] = buffer[[other, row], :, :length]
        self.lengths[row], self.lengths[other] = self.lengths[other], self.lengths[row]

    def copy(self, source: int, row: int, length: int) -> None:
        """Copy the first ``length`` tokens of the row ``source`` to ``row``."""
        for buffer in (*self.keys, *self.values):
            buffer[row, :, :length] = buffer[source, :, :length]
        self.lengths[row] = length

    def read(self, layer: int, row: int) -> tuple[Tensor, Tensor]:
        """Return keys and values [1, head, token, dimension] of one row."""
        length = self.lengths[row]
        return self.keys[layer][row : row + 1, :, :length], self.values[layer][row : row + 1, :, :length]

    def read_first(self, layer: int, rows: int) -> tuple[Tensor, Tensor]:
        """Return keys and values [row, head, token, dimension] of the first ``rows`` rows, as long as the longest."""
        extent = max(self.lengths[:rows])
        return self.keys[layer][:rows, :, :extent], self.values[layer][:rows, :, :extent]

    def bias_of_first(self, rows: int, device: torch.device) -> Tensor:
        """Return the attention bias for ``read_first``: float32 [row, 1, 1, token], 0 where a row holds a token."""
        lengths = self.lengths[:rows]
        held = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
        # Finite: softmax over a row without tokens would compute -inf - -inf, which is NaN.
        lowest = torch.finfo(torch.float32).min
        return torch.zeros(held.shape, device=device).masked_fill_(~held, lowest)[:, None, None]
