"""The tiny model's tokenizer: byte-level BPE in which a value has the same tokens in every context."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

VOCABULARY = 4096
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Words never merge with quotes or brackets, and `'s` is not split off: a value has the tokens in a user's quotes that
# it has in a call, and can be copied. Digits are single tokens.
PIECES = r"_\p{L}+| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}_]+|_|\s+"


def learn(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a tokenizer of `VOCABULARY` tokens, including the protocol's tags, on ``texts``."""
    bpe = Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PIECES), "isolated"), to_bytes])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    # Tags are single tokens but not special ones, so that decoding shows them.
    bpe.add_tokens(list(TAGS))
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "additional_special_tokens": ["<|im_start|>"]}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, model_max_length=8192, **special)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def as_loaded(tokenizer: PreTrainedTokenizerFast, config: Any, folder: Path) -> Any:
    """Save the tokenizer to the model's folder and return it as AutoTokenizer loads it, which chooses its class."""
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
