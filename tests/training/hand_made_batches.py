"""A Qwen2 of two small layers, batches of a few tokens for it, and what its whole logits say about them."""

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from envtune.grpo.batch import TrainBatch

TEMPERATURE = 0.7
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    # Larger than usual, so that the distributions are far from uniform.
    "initializer_range": 0.3,
}


def tiny_config(tied: bool = False) -> Qwen2Config:
    return Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=tied)


def save_model(folder, tied: bool = False, seed: int = 0) -> str:
    torch.manual_seed(seed)
    Qwen2ForCausalLM(tiny_config(tied)).save_pretrained(folder)
    return str(folder)


def batch_of(rows, sampled, prompts=None) -> TrainBatch:
    """Rows of ids; ``sampled`` holds each one's sampled positions, ``prompts`` its prompt's number."""
    starts = [sum(map(len, rows[:row])) for row in range(len(rows))]
    places = [start + t for start, positions in zip(starts, sampled, strict=True) for t in sorted(positions)]
    return TrainBatch(
        ids=torch.tensor([token for row in rows for token in row]),
        lengths=torch.tensor(list(map(len, rows))),
        sampled=torch.tensor(places, dtype=torch.int64),
        behaviour_logprobs=torch.zeros(len(places)),
        turns=torch.zeros(len(places), dtype=torch.int16),
        advantages=torch.zeros(len(places)),
        policy_versions=torch.zeros(len(rows), dtype=torch.int64),
        prompts=torch.arange(len(rows)) if prompts is None else torch.tensor(prompts),
        prompt_lengths=torch.tensor([min(positions, default=1) for positions in sampled]),
        temperature=TEMPERATURE,
    )


LONG = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
SHORT = [2, 7, 18, 28]
BATCH = batch_of([LONG, SHORT], [{4, 5, 6, 9}, {2, 3}])


def full_statistics(model, batch):
    """Log-probs and entropies of the sampled tokens, from the model's whole logits of each row alone."""
    logprobs, entropy = [], []
    for start, length in zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True):
        ids = batch.ids[start : start + length]
        inside = batch.sampled[(batch.sampled >= start) & (batch.sampled < start + length)] - start
        logits = model(input_ids=ids[None]).logits[0, inside - 1].float()
        distribution = (logits / batch.temperature).log_softmax(-1)
        logprobs.append(distribution.gather(-1, ids[inside, None])[:, 0])
        entropy.append(-(distribution.exp() * distribution).sum(-1))
    return torch.cat(logprobs), torch.cat(entropy)


PROMPT = [3, 14, 15, 9, 26]
GROUPS = batch_of(
    [[*PROMPT, 5, 35, 8], SHORT, [*PROMPT, 9, 7, 1, 4, 2, 6], [*PROMPT, 11]],
    [{5, 7}, {2, 3}, {5, 6, 9, 10}, {5}],
    prompts=[0, 1, 0, 0],
)
