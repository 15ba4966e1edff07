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
    """Right-padded rows of ids; ``sampled`` holds each one's sampled positions, ``prompts`` its prompt's number."""
    length = max(map(len, rows))
    mask = torch.tensor([[t in positions for t in range(length)] for positions in sampled])
    return TrainBatch(
        ids=torch.tensor([row + [0] * (length - len(row)) for row in rows]),
        attention_mask=torch.tensor([[t < len(row) for t in range(length)] for row in rows]),
        completion_mask=mask,
        behaviour_logprobs=torch.zeros(mask.shape),
        turns=torch.where(mask, 0, -1),
        advantages=torch.zeros(len(rows)),
        rewards=torch.zeros(len(rows)),
        policy_versions=torch.zeros(len(rows), dtype=torch.int64),
        prompts=torch.arange(len(rows)) if prompts is None else torch.tensor(prompts),
        prompt_lengths=torch.tensor([min(positions, default=1) for positions in sampled]),
        temperature=TEMPERATURE,
    )


LONG = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
SHORT = [2, 7, 18, 28]
BATCH = batch_of([LONG, SHORT], [{4, 5, 6, 9}, {2, 3}])


def full_statistics(model, batch):
    """Log-probs and entropies from the model's whole logits."""
    logits = model(input_ids=batch.ids, attention_mask=batch.attention_mask.long()).logits.float()
    distribution = (logits / batch.temperature).log_softmax(-1)[:, :-1]
    logprobs = torch.zeros(batch.ids.shape)
    entropy = torch.zeros(batch.ids.shape)
    logprobs[:, 1:] = distribution.gather(-1, batch.ids[:, 1:, None])[..., 0]
    entropy[:, 1:] = -(distribution.exp() * distribution).sum(-1)
    return logprobs * batch.completion_mask, entropy * batch.completion_mask


PROMPT = [3, 14, 15, 9, 26]
GROUPS = batch_of(
    [[*PROMPT, 5, 35, 8], SHORT, [*PROMPT, 9, 7, 1, 4, 2, 6], [*PROMPT, 11]],
    [{5, 7}, {2, 3}, {5, 6, 9, 10}, {5}],
    prompts=[0, 1, 0, 0],
)
