import torch

from envtune.rollout.hf.kv_rows import KvRows

LAYERS = 2
PLENTY = 10_000


def states(*tokens: float) -> torch.Tensor:
    """[1, head, token, dimension] of one head and one dimension."""
    return torch.tensor(tokens).reshape(1, 1, -1, 1)


def write(rows: KvRows, row: int, *tokens: float) -> None:
    """Append keys ``tokens`` to the row, with values that are ten times as large."""
    start = rows.lengths[row]
    places = torch.full((len(tokens),), row), torch.arange(start, start + len(tokens))
    for layer in range(LAYERS):
        rows.write(layer, *places, states(*tokens), 10 * states(*tokens))
    rows.lengths[row] += len(tokens)


def contents(rows: KvRows) -> list[list[float]]:
    """Return the keys of each row; check that layers are equal and values ten times the keys."""
    result = []
    for row in range(len(rows.lengths)):
        keys = [rows.read(layer, row)[0].flatten().tolist() for layer in range(LAYERS)]
        values = [rows.read(layer, row)[1].flatten().tolist() for layer in range(LAYERS)]
        assert keys == [keys[0]] * LAYERS
        assert values == [[10 * key for key in keys[0]]] * LAYERS
        result.append(keys[0])
    return result


def three_rows() -> KvRows:
    rows = KvRows()
    rows.reserve(3, 4, PLENTY)
    for tokens in ((1.0, 2.0, 3.0), (4.0,), (5.0, 6.0)):
        write(rows, rows.append(), *tokens)
    return rows


def test_rows_of_different_lengths_are_read_up_to_their_length():
    rows = three_rows()
    write(rows, 1, 7.0)
    assert contents(rows) == [[1, 2, 3], [4, 7], [5, 6]]
    keys, values = rows.read_first(1, 2)
    assert keys[:, 0, :, 0].tolist() == [[1, 2, 3], [4, 7, 0]]
    assert values[:, 0, :, 0].tolist() == [[10, 20, 30], [40, 70, 0]]
    bias = rows.bias_of_first(2, torch.device("cpu"))
    assert bias.shape == (2, 1, 1, 3)
    assert (bias == 0)[:, 0, 0].tolist() == [[True, True, True], [True, True, False]]


def test_growing_preserves_the_contents_of_rows():
    rows = three_rows()
    rows.reserve(5, 9, PLENTY)
    write(rows, rows.append(), *map(float, range(20, 29)))
    write(rows, 0, 8.0)
    assert contents(rows) == [[1, 2, 3, 8], [4], [5, 6], list(range(20, 29))]


def test_rows_of_different_lengths_are_swapped_and_copied():
    rows = three_rows()
    rows.swap(0, 1)
    assert contents(rows) == [[4], [1, 2, 3], [5, 6]]
    rows.copy(1, 2, 2)
    assert contents(rows) == [[4], [1, 2, 3], [1, 2]]
    rows.swap(2, 2)
    assert contents(rows) == [[4], [1, 2, 3], [1, 2]]


def test_the_memory_of_a_removed_row_is_reused():
    rows = three_rows()
    buffers = [buffer.data_ptr() for buffer in rows.keys]
    rows.pop()
    rows.reserve(3, 4, PLENTY)
    write(rows, rows.append(), 9.0)
    assert contents(rows) == [[1, 2, 3], [4], [9]]
    assert [buffer.data_ptr() for buffer in rows.keys] == buffers


def test_needed_tokens_equal_the_allocation_of_reserve():
    rows = three_rows()
    assert rows.needed_tokens(2, 3) == rows.needed_tokens(3, 4) == 3 * 4
    assert rows.needed_tokens(4, 1) == 4 * 4
    # Longer rows need a new allocation of only the requested rows.
    assert rows.needed_tokens(2, 5) == 2 * 5
    rows.reserve(3, 5, max_tokens=3 * 5)
    assert tuple(rows.keys[0].shape) == (3, 1, 5, 1)


def test_rows_grow_by_half_within_the_limit():
    rows = three_rows()
    rows.reserve(3, 5, max_tokens=PLENTY)
    assert tuple(rows.keys[0].shape) == (3, 1, 6, 1)
    rows.reserve(4, 6, max_tokens=PLENTY)
    assert tuple(rows.keys[0].shape) == (4, 1, 6, 1)
    rows.reserve(4, 8, max_tokens=4 * 8)
    assert tuple(rows.keys[0].shape) == (4, 1, 8, 1)
