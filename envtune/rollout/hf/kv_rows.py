"""A KV cache: keys and values of token sequences in growing buffers."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

States = Float[Tensor, "row kv_head token dim"]
Packed = Float[Tensor, "1 kv_head token dim"]
# Growth factor of a buffer: geometric growth keeps the number of copies small.
GROWTH = 1.5


class KvRows:
    """One row per sequence in two buffers [row, kv_head, token, dim] per layer, allocated at its first write."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        """Tokens in each row, from position 0 on."""
        self.keys: list[States] = []
        self.values: list[States] = []
        self._rows = 0
        self._capacity = 0

    def needed_tokens(self, rows: int, length: int) -> int:
        """Return the allocation in tokens for ``rows`` rows of which the longest has ``length`` tokens."""
        if length > self._capacity:
            return rows * length
        return max(rows, self._rows) * self._capacity

    def reserve(self, rows: int, length: int, max_tokens: int) -> None:
        """Allocate ``rows`` rows of ``length`` tokens, and spare room within ``max_tokens`` tokens in total."""
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
        """Append an empty row, which must have been reserved, and return its index."""
        self.lengths.append(0)
        return len(self.lengths) - 1

    def pop(self) -> None:
        """Remove the last row; its memory is reused."""
        self.lengths.pop()

    def write(
        self, layer: int, rows: Int[Tensor, "token"], positions: Int[Tensor, "token"], keys: Packed, values: Packed
    ) -> None:
        """Store each token's keys and values at its row and position."""
        if layer == len(self.keys):
            for buffers, states in ((self.keys, keys), (self.values, values)):
                buffers.append(states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3]))
        self.keys[layer][rows, :, positions] = keys[0].transpose(0, 1)
        self.values[layer][rows, :, positions] = values[0].transpose(0, 1)

    def swap(self, row: int, other: int) -> None:
        """Exchange two rows."""
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

    def read(self, layer: int, row: int) -> tuple[Packed, Packed]:
        """Return the keys and the values of one row."""
        length = self.lengths[row]
        return self.keys[layer][row : row + 1, :, :length], self.values[layer][row : row + 1, :, :length]

    def read_first(self, layer: int, rows: int) -> tuple[States, States]:
        """Return keys and values of the first ``rows`` rows, up to the length of the longest."""
        extent = max(self.lengths[:rows])
        return self.keys[layer][:rows, :, :extent], self.values[layer][:rows, :, :extent]

    def bias_of_first(self, rows: int, device: torch.device) -> Float32[Tensor, "row 1 1 token"]:
        """Return a bias for attention scores over ``read_first``: 0 on a row's tokens, lowest float32 after them."""
        lengths = self.lengths[:rows]
        held = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
        # Finite: in a row without tokens, softmax would compute -inf - -inf, which is NaN.
        lowest = torch.finfo(torch.float32).min
        return torch.zeros(held.shape, device=device).masked_fill_(~held, lowest)[:, None, None]
