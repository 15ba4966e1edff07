import torch

from envtune.rollout.hf.kv_rows import KvRows

LAYERS = 2
PLENTY = 10_000


def states(*tokens: float) -> torch.Tensor:
    """[1, head, token, dimension] of one head and one dimension."""
    return torch.tensor(tokens).reshape(1, 1, -1, 1)


def write(rows: KvRows, row: int, *tokens: float) -> None:
    """Behind what the row holds, keys ``tokens`` and values that are ten times as large."""
    start = rows.lengths[row]
    places = torch.full((len(tokens),), row), torch.arange(start, start + len(tokens))
    for layer in range(LAYERS):
        rows.write(layer, *places, states(*tokens), 10 * states(*tokens))
    rows.lengths[row] += len(tokens)


def held(rows: KvRows) -> list[list[float]]:
    """What each row holds, which must be the same in every layer, and ten times as much in the values."""
    found = []
    for row in range(len(rows.lengths)):
        keys = [rows.read(layer, row)[0].flatten().tolist() for layer in range(LAYERS)]
        values = [rows.read(layer, row)[1].flatten().tolist() for layer in range(LAYERS)]
        assert keys == [keys[0]] * LAYERS
        assert values == [[10 * key for key in keys[0]]] * LAYERS
        found.append(keys[0])
    return found


def three_rows() -> KvRows:
    rows = KvRows()
    rows.reserve(3, 4, PLENTY)
    for tokens in ((1.0, 2.0, 3.0), (4.0,), (5.0, 6.0)):
        write(rows, rows.append(), *tokens)
    return rows


def test_rows_of_different_lengths_are_read_without_what_lies_behind_them():
    rows = three_rows()
    write(rows, 1, 7.0)
    assert held(rows) == [[1, 2, 3], [4, 7], [5, 6]]
    keys, values = rows.read_first(1, 2)
    assert keys[:, 0, :, 0].tolist() == [[1, 2, 3], [4, 7, 0]]
    assert values[:, 0, :, 0].tolist() == [[10, 20, 30], [40, 70, 0]]
    bias = rows.bias_of_first(2, torch.device("cpu"))
    assert bias.shape == (2, 1, 1, 3)
    assert (bias == 0)[:, 0, 0].tolist() == [[True, True, True], [True, True, False]]


def test_growing_keeps_what_rows_hold():
    rows = three_rows()
    rows.reserve(5, 9, PLENTY)
    write(rows, rows.append(), *map(float, range(20, 29)))
    write(rows, 0, 8.0)
    assert held(rows) == [[1, 2, 3, 8], [4], [5, 6], list(range(20, 29))]


def test_rows_swap_and_are_copied_whatever_their_lengths():
    rows = three_rows()
    rows.swap(0, 1)
    assert held(rows) == [[4], [1, 2, 3], [5, 6]]
    rows.copy(1, 2, 2)
    assert held(rows) == [[4], [1, 2, 3], [1, 2]]
    rows.swap(2, 2)
    assert held(rows) == [[4], [1, 2, 3], [1, 2]]


def test_the_slots_of_a_row_that_was_taken_away_are_used_again():
    rows = three_rows()
    buffers = [buffer.data_ptr() for buffer in rows.keys]
    rows.pop()
    rows.reserve(3, 4, PLENTY)
    write(rows, rows.append(), 9.0)
    assert held(rows) == [[1, 2, 3], [4], [9]]
    assert [buffer.data_ptr() for buffer in rows.keys] == buffers


def test_the_slots_needed_are_those_that_reserving_allocates():
    rows = three_rows()
    assert rows.needed_tokens(2, 3) == rows.needed_tokens(3, 4) == 3 * 4
    assert rows.needed_tokens(4, 1) == 4 * 4
    # Longer rows are allocated anew, as many as are needed.
    assert rows.needed_tokens(2, 5) == 2 * 5
    rows.reserve(3, 5, max_tokens=3 * 5)
    assert tuple(rows.keys[0].shape) == (3, 1, 5, 1)


def test_rows_grow_by_half_where_that_is_allowed():
    rows = three_rows()
    rows.reserve(3, 5, max_tokens=PLENTY)
    assert tuple(rows.keys[0].shape) == (3, 1, 6, 1)
    rows.reserve(4, 6, max_tokens=PLENTY)
    assert tuple(rows.keys[0].shape) == (4, 1, 6, 1)
    rows.reserve(4, 8, max_tokens=4 * 8)
    assert tuple(rows.keys[0].shape) == (4, 1, 8, 1)
