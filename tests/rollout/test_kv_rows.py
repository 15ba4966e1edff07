import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from envtune.rollout import prefill as prefill_module
from envtune.rollout.kv_attention import ATTENTION, kv_rows_attention
from envtune.rollout.kv_rows import Feed, KvRows, Prefix, PrefixIndex

CPU = torch.device("cpu")
PROMPT = tuple(range(1, 21))
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,
}


@pytest.fixture(params=[(LlamaConfig, LlamaForCausalLM), (Qwen3Config, Qwen3ForCausalLM)], ids=["llama", "qwen3"])
def model(request):
    config, kind = request.param
    torch.manual_seed(0)
    return kind(config(**SIZES, attn_implementation=ATTENTION)).eval().requires_grad_(False)


def plain_logits(model, ids) -> torch.Tensor:
    """Logits [token, vocabulary] of one pass over ``ids``, with the stock attention."""
    model.set_attn_implementation("eager")
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    model.set_attn_implementation(ATTENTION)
    return logits


def rows_with(model, *sequences) -> KvRows:
    rows = KvRows.begin([None] * len(sequences), [len(ids) + 8 for ids in sequences], CPU)
    for row, ids in enumerate(sequences):
        model(**rows.feed(Feed(row, (tuple(ids),))))
    return rows


def assert_next_logits_are_plain(model, rows, tokens):
    """Feeding ``tokens`` (one tuple a row) gives every row the logits of its whole sequence."""
    logits = model(**rows.feed(Feed(0, tokens))).logits
    for row, new in enumerate(tokens):
        expected = plain_logits(model, rows.ids[row])[-len(new) :]
        torch.testing.assert_close(logits[row, : len(new)], expected, atol=1e-5, rtol=0)


def test_rows_of_different_lengths_advance_together_without_holes(model):
    rows = rows_with(model, PROMPT, PROMPT[:3])
    assert_next_logits_are_plain(model, rows, ((30, 31, 32), (40,)))
    assert_next_logits_are_plain(model, rows, ((33,), (41, 42)))
    assert rows.ids == [[*PROMPT, 30, 31, 32, 33], [*PROMPT[:3], 40, 41, 42]]


def test_a_prefix_that_several_rows_share_is_referenced_and_read_beside_rows_without_one(model):
    prompt = Prefix(rows_with(model, PROMPT), 0, 20)
    other = Prefix(rows_with(model, PROMPT[::-1]), 0, 12)
    rows = KvRows.begin([prompt, other, prompt, None], [24, 24, 24, 4], CPU)
    # 4 rows of 12 slots (the copied prefix of 12 grows to 24; the trunk's 20 are not copied), 28 in the trunk's rows.
    assert rows.capacity == 24
    assert rows.slots == 4 * 24 + 28
    assert_next_logits_are_plain(model, rows, ((30, 31), (32,), (33,), (34, 35)))
    assert_next_logits_are_plain(model, rows, ((36,), (37,), (38, 39), (40,)))


def test_rows_of_rows_share_the_first_trunk_and_copy_what_follows_it(model):
    prompt = Prefix(rows_with(model, PROMPT), 0, 20)
    first = KvRows.begin([prompt, prompt], [26, 26], CPU)
    model(**first.feed(Feed(0, ((30, 31, 32), (33, 34)))))
    # The second row's prefix ends within its trunk; the first's and the last's continue after it.
    second = KvRows.begin([Prefix(first, 1, 22), Prefix(first, 0, 15), Prefix(first, 0, 22)], [26] * 3, CPU)
    assert second.ids == [[*PROMPT, 33, 34], list(PROMPT[:15]), [*PROMPT, 30, 31]]
    assert [trunk.length for trunk in second.trunks] == [20, 15, 20]
    assert_next_logits_are_plain(model, second, ((50,), (51, 52), (53,)))


def test_swapped_rows_keep_their_sequences(model):
    prompt = Prefix(rows_with(model, PROMPT), 0, 20)
    rows = KvRows.begin([prompt, prompt, None], [24, 24, 24], CPU)
    model(**rows.feed(Feed(0, ((30,), (31,), (32,)))))
    rows.swap(0, 2)
    assert rows.ids == [[32], [*PROMPT, 31], [*PROMPT, 30]]
    assert_next_logits_are_plain(model, rows, ((40,), (41,), (42,)))


@pytest.mark.parametrize("bound", [1, 7, 1000])
def test_prefill_in_passes_of_any_size_holds_the_same_keys(model, monkeypatch, bound):
    monkeypatch.setattr(prefill_module, "PASS_TOKENS", bound)
    kept = rows_with(model, (*PROMPT, 21, 22))
    prompts = [PROMPT[:2], (*PROMPT, 21, 50, 51, 52, 53), (9, *PROMPT), (9, *PROMPT), (*PROMPT, 21, 60, 61)]
    rows, order = prefill_module.prefill(model, prompts, [4] * 5, PrefixIndex([kept]))
    assert [tuple(ids) for ids in rows.ids] == [prompts[place][:-1] for place in order]
    assert_next_logits_are_plain(model, rows, tuple((prompts[place][-1],) for place in order))


def test_the_longest_common_prefix_is_found_among_all_rows():
    rows, more = KvRows([None] * 2, 8, CPU), KvRows([None], 8, CPU)
    rows.ids, more.ids = [[1, 2, 3], [5, 1]], [[1, 2, 4, 4, 4]]
    index = PrefixIndex([rows, more])
    for ids, expected in [
        ((1, 2, 3, 9), (rows, 0, 3)),
        ((1, 2, 4, 4, 9), (more, 0, 4)),
        ((5, 1, 0), (rows, 1, 2)),
        ((5,), (rows, 1, 1)),
    ]:
        found = index.longest(ids)
        assert (found.rows, found.row, found.length) == expected
    assert index.longest((7, 1)) is None
    assert PrefixIndex([]).longest((1, 2)) is None


def test_an_attention_that_is_not_handed_the_trunks_says_so():
    states = torch.zeros(1, 1, 1, 4)
    with pytest.raises(TypeError, match="does not pass arguments on to its attention"):
        kv_rows_attention(torch.nn.Identity(), states, states, states, None)
