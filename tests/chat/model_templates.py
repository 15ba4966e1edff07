"""Chat templates with the structure of those of well-known models, and tokenizers of SentencePiece's kinds."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from toy_world import ANSWER, LS, MKDIR, STYLE
from transformers import PreTrainedTokenizerFast

# The thoughts of Qwen3: those before the user's last message are dropped, the others are put on lines of their own.
QWEN = """\
{%- set ns = namespace(last_user=0) -%}
{%- for message in messages -%}{%- if message.role == 'user' -%}{%- set ns.last_user = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
{%- set text = message.content -%}
{%- if message.role == 'assistant' and '</think>' in text -%}
{%- set thought = text.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
{%- set text = text.split('</think>')[-1].lstrip('\\n') -%}
{%- if loop.index0 > ns.last_user -%}{%- set text = '<think>\\n' + thought + '\\n</think>\\n\\n' + text -%}{%- endif -%}
{%- endif -%}
{{- '<|im_start|>' + message.role + '\\n' + text + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}
"""
# DeepSeek-R1's distilled models: the generation prompt begins the thought, earlier messages lose theirs.
R1 = """\
{%- for message in messages -%}
{%- if message.role == 'system' -%}{{- message.content -}}
{%- elif message.role == 'user' -%}{{- '<|user|>' + message.content -}}
{%- else -%}{{- '<|assistant|>' + message.content.split('</think>')[-1] + '<|im_end|>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|><think>\\n' -}}{%- endif -%}
"""
# DeepSeek-V3.1: every generation prompt begins or ends a thought, earlier messages begin behind an ended one.
V31 = R1.replace("'<|assistant|>' + message", "'<|assistant|></think>' + message").replace(
    "'<|assistant|><think>\\n'", "'<|assistant|>' + ('<think>' if thinking else '</think>')"
)
# GLM: earlier messages without a thought get an empty one, with which a generation prompt without thoughts ends, too.
GLM = """\
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}{{- '<|assistant|>\\n<think></think>\\n' + message.content -}}
{%- else -%}{{- '<|' + message.role + '|>\\n' + message.content -}}{%- endif -%}
{{- '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' + ('\\n<think></think>' if enable_thinking is defined and not enable_thinking else '') -}}
{%- endif -%}
"""
# GPT-OSS: the model chooses a channel; earlier messages are in the final one.
CHANNELS = """\
{%- for message in messages -%}
{{- '<|start|>' + message.role + ('<|channel|>final' if message.role == 'assistant' else '') + '<|message|>' -}}
{{- message.content + '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
"""
# Llama 2: spaces around the assistant's messages, its markers are plain text.
LLAMA_2 = """\
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{%- set system = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' if loop.index0 == 1 else '' -%}
{{- bos_token + '[INST] ' + system + message.content.strip() + ' [/INST]' -}}
{%- elif message.role == 'assistant' -%}{{- ' ' + message.content.strip() + ' ' + eos_token -}}{%- endif -%}
{%- endfor -%}
"""
# Mistral: the system message moves to the user's last message.
MISTRAL = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{%- set moves = loop.last and messages[0].role == 'system' -%}
{{- '[INST] ' + (messages[0].content + '\\n\\n' if moves else '') + message.content + ' [/INST]' -}}
{%- elif message.role == 'assistant' -%}{{- ' ' + message.content + eos_token -}}{%- endif -%}
{%- endfor -%}
"""
# Gemma: no system role, the assistant is called model, white space around messages is removed.
GEMMA = """\
{{- bos_token -}}
{%- if messages[0].role == 'system' -%}{{- raise_exception('System role not supported') -}}{%- endif -%}
{%- for message in messages -%}
{%- set role = 'model' if message.role == 'assistant' else message.role -%}
{{- '<start_of_turn>' + role + '\\n' + message.content | trim + '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""
# Zephyr and TinyLlama: control tokens stand directly before the text.
ZEPHYR = """\
{%- for message in messages -%}
{{- '<|' + message.role + '|>' + message.content + eos_token -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""
CONTROL = (
    *("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    *("<|start|>", "<|channel|>", "<|message|>", "<start_of_turn>", "<end_of_turn>"),
)
_TEXTS = [STYLE.system_prompt([]), MKDIR, LS, ANSWER, "What is in this folder? [INST] <<SYS>> [/INST] system user"]


def byte_level(chat_template: str, end: str = "<|im_end|>") -> Any:
    """Return a byte-level BPE, as of Qwen, Llama 3 and DeepSeek."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(_TEXTS, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False))
    bpe.add_tokens(["<think>", "</think>"])
    return _with_control(bpe, chat_template, end)


def unigram(chat_template: str, scheme: str, end: str = "</s>", split: bool = True) -> Any:
    """Return a unigram model with a Metaspace pre-tokenizer; without ``split``, its tokens contain several words."""
    model = Tokenizer(models.Unigram())
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    model.decoder = decoders.Metaspace(prepend_scheme=scheme, split=split)
    trainer = trainers.UnigramTrainer(
        vocab_size=400,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        initial_alphabet=sorted({*"".join(_TEXTS), *map(chr, range(33, 127))}),
        show_progress=False,
    )
    model.train_from_iterator(_TEXTS, trainer)
    return _with_control(model, chat_template, end, unk_token="<unk>")


def fallback(chat_template: str, inserts: str, end: str = "</s>") -> Any:
    """Return a BPE with byte fallback, as of Llama 2, Mistral and Gemma.

    ``inserts`` is the scheme of a Metaspace pre-tokenizer, or "normalizer" for one that prepends ``▁``, or "nothing"
    for a normalizer that only replaces spaces.
    """
    words = normalizers.Replace(" ", "▁")
    learned = Tokenizer(models.BPE(unk_token="<unk>"))
    learned.normalizer = words
    lines = pre_tokenizers.Split("\n", "isolated")
    learned.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("▁", "merged_with_next"), lines])
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False)
    learned.train_from_iterator(_TEXTS, trainer)
    model = json.loads(learned.to_str())["model"]
    vocabulary = {f"<0x{byte:02X}>": len(model["vocab"]) + byte for byte in range(256)} | model["vocab"]
    merges = [tuple(pair) for pair in model["merges"]]
    bpe = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replaced = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if inserts in ("always", "first", "never"):
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=inserts, split=False)
    else:
        bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), words]) if inserts == "normalizer" else words
    stripped = [] if inserts in ("never", "nothing") else [decoders.Strip(" ", 1, 0)]
    bpe.decoder = decoders.Sequence([*replaced, *stripped])
    return _with_control(bpe, chat_template, end, unk_token="<unk>")


def _with_control(tokenizer: Tokenizer, chat_template: str, end: str, **tokens: str) -> Any:
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in CONTROL])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=end, pad_token=end, **tokens)
    fast.chat_template = chat_template
    return fast
