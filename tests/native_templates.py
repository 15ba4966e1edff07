"""Small chat templates, made by hand, with the structure of those of Qwen2.5, Qwen3 and Llama 3.1, and a tokenizer."""

from __future__ import annotations

from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from envtune.task import ToolDocument

_DOCUMENTS = (
    "{% if tools %}<|im_start|>system\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
    "# Tools\n\nThese functions are inside <tools></tools>:\n<tools>"
    "{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}\n</tools>\n\n"
    'For each call write <tool_call>\n{"name": …, "arguments": …}\n</tool_call><|im_end|>\n'
    "{% elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
)
_CALLS = (
    "{% for call in message.tool_calls %}{{ '\n<tool_call>\n' }}"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}"
)
_RESULTS = (
    "{% if loop.first or messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}"
    "{{ '\n<tool_response>\n' }}{{ message.content }}\n</tool_response>"
    "{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>\n{% endif %}"
)
_PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
# The system message, then documents; results as a user's message with tags.
QWEN2 = (
    _DOCUMENTS + "{% for message in messages %}"
    "{% if message.role == 'tool' %}" + _RESULTS + "{% elif message.role == 'assistant' and message.tool_calls %}"
    "<|im_start|>assistant{% if message.content %}{{ '\n' + message.content }}{% endif %}" + _CALLS + "<|im_end|>\n"
    "{% elif not (loop.first and message.role == 'system') %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}" + _PROMPT
)
# The same, without the thoughts before the last user message.
QWEN3 = QWEN2.replace(
    "{% for message in messages %}{% if",
    "{% set last = namespace(user=0) %}{% for message in messages %}"
    "{% if message.role == 'user' %}{% set last.user = loop.index0 %}{% endif %}{% endfor %}"
    "{% for message in messages %}{% if",
).replace(
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>",
    "<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' and '</think>' in message.content and "
    "loop.index0 < last.user %}{{ message.content.split('</think>')[-1].lstrip('\n') }}"
    "{% else %}{{ message.content }}{% endif %}<|im_end|>",
)
# Documents in the first user message; results as JSON strings in a role of their own.
LLAMA3 = (
    "{{ bos_token }}<|head|>system<|/head|>\n\n{% if tools is not none and tools is defined %}Environment: ipython\n"
    "{% endif %}{{ messages[0].content | trim }}<|eot|>"
    "{% for message in messages[1:] %}"
    "{% if message.role == 'tool' %}<|head|>ipython<|/head|>\n\n"
    "{% if message.content is iterable %}{{ message.content | tojson }}{% else %}{{ message.content }}{% endif %}"
    "<|eot|>"
    "{% elif message.tool_calls %}{% if message.tool_calls | length != 1 %}{{ raise_exception('one call only') }}"
    "{% endif %}{% set call = message.tool_calls[0].function %}<|head|>assistant<|/head|>\n\n"
    '{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|eot|>'
    "{% else %}<|head|>{{ message.role }}<|/head|>\n\n"
    "{% if loop.first and tools is not none and tools is defined %}Given these functions, respond with JSON:\n\n"
    "{% for tool in tools %}{{ tool | tojson(indent=4) }}\n\n{% endfor %}{% endif %}"
    "{{ message.content | trim }}<|eot|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|head|>",
    "<|/head|>",
    "<|eot|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|begin|>",
]
# Tokens of the vocabulary that are not special, as in Qwen's tokenizers.
TAGS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

LOOK = ToolDocument(
    "look_up",
    "This tool belongs to the library. Tool description: Find a book. It may be lent.",
    {
        "type": "dict",
        "properties": {
            "title": {"type": "string", "description": 'The title, as in "Dune".'},
            "price": {"type": "float", "description": "At most.", "default": 9.5},
        },
        "required": ["title"],
    },
    {"type": "dict", "properties": {"found": {"type": "boolean", "description": "Whether it exists."}}},
)
LEND = ToolDocument("lend", "Lend a book.", {"type": "dict", "properties": {}})


def native_tokenizer(chat_template: str) -> Any:
    """Byte-level BPE of the templates' text; its words do not end at punctuation, so that seams would show."""
    bpe = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r" ?[a-zA-Z]+| ?[^\sa-zA-Z]+[\n]*|\s+"), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIAL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    bpe.train_from_iterator([QWEN2, LLAMA3, "is done.\n\n" * 50], trainer)
    bpe.add_tokens(TAGS)
    end = "<|eot|>" if "<|eot|>" in chat_template else "<|im_end|>"
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=end, bos_token="<|begin|>", pad_token="<|begin|>")
    fast.chat_template = chat_template
    return fast
