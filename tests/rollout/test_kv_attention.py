import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from envtune.rollout.hf.kv_attention import ATTENTION, Feed, PromptPass, StepPass, kv_rows_attention
from envtune.rollout.hf.kv_rows import KvRows

CPU = torch.device("cpu")
LONG, SHORT = tuple(range(1, 21)), (33, 32, 31)
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


class CachedRows:
    """Rows of prompts and tails, with the ids in them."""

    def __init__(self, model, prompts, tails: int) -> None:
        self.model, self.prompt_ids = model, list(prompts)
        self.prompts, self.tails = KvRows(), KvRows()
        self.ids: list[tuple[int, ...]] = [()] * tails
        self.prompts.reserve(len(prompts), max(map(len, prompts)), 10_000)
        self.tails.reserve(tails, 16, 10_000)
        for ids in prompts:
            self.feed_prompt(self.prompts.append(), ids)
        for _ in range(tails):
            self.tails.append()

    def feed_prompt(self, row, ids):
        logits = self.model(**PromptPass(self.prompts, row, ids, CPU).arguments).logits[0]
        torch.testing.assert_close(logits, self.plain(self.prompt_ids[row])[-1:], atol=1e-5, rtol=0)

    def feed(self, *feeds: Feed) -> None:
        """Compare the logits after every row's last token with those of a plain pass over all of its tokens."""
        logits = self.model(**StepPass(self.prompts, self.tails, feeds, CPU).arguments).logits[0]
        assert logits.shape == (len(feeds), 64)
        for feed, row_logits in zip(feeds, logits, strict=True):
            self.ids[feed.row] += feed.tokens
            expected = self.plain(self.prompt_ids[feed.prompt] + self.ids[feed.row])[-1]
            torch.testing.assert_close(row_logits, expected, atol=1e-5, rtol=0)

    def plain(self, ids) -> torch.Tensor:
        self.model.set_attn_implementation("eager")
        logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        self.model.set_attn_implementation(ATTENTION)
        return logits


def test_rows_of_different_prompts_and_lengths_get_one_token_together(model):
    rows = CachedRows(model, [LONG, SHORT], tails=4)
    rows.feed(Feed(0, 0, (40,)), Feed(1, 1, (41,)), Feed(0, 2, (42,)))
    # Row 2 gets no token; row 3 begins.
    rows.feed(Feed(0, 0, (43,)), Feed(1, 1, (44,)))
    rows.feed(Feed(0, 0, (45,)), Feed(1, 1, (46,)), Feed(0, 2, (47,)), Feed(1, 3, (48,)))


def test_rows_that_get_several_tokens_are_fed_beside_those_that_get_one(model):
    rows = CachedRows(model, [LONG, SHORT], tails=4)
    rows.feed(Feed(0, 0, (40,)), Feed(1, 1, (41, 42, 43)), Feed(0, 3, (44, 45)), Feed(0, 2, (46,)))
    rows.feed(Feed(0, 0, (50,)), Feed(1, 1, (51,)), Feed(0, 2, (52,)), Feed(0, 3, (53, 54)))
    rows.feed(Feed(1, 1, (55, 56)), Feed(0, 2, (57, 58, 59)))


def test_a_prompt_without_rows_in_a_pass_changes_no_logits(model):
    rows = CachedRows(model, [SHORT, LONG, (9,)], tails=2)
    rows.feed(Feed(2, 0, (40,)), Feed(1, 1, (41,)))


def test_a_prompt_may_be_fed_in_parts(model):
    rows = CachedRows(model, [LONG[:7], SHORT], tails=2)
    rows.prompts.reserve(2, 20, 10_000)
    rows.prompt_ids[0] = LONG[:8]
    rows.feed_prompt(0, LONG[7:8])
    rows.prompt_ids[0] = LONG
    rows.feed_prompt(0, LONG[8:])
    rows.feed(Feed(0, 0, (40,)), Feed(1, 1, (41,)))


def test_a_model_that_does_not_pass_arguments_to_its_attention_is_refused():
    states = torch.zeros(1, 1, 1, 4)
    with pytest.raises(TypeError, match="does not pass arguments on to attention"):
        kv_rows_attention(torch.nn.Identity(), states, states, states, None)
