"""The pretrained model, a group of its episodes, and what an untouched model of transformers says about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.playground.source import Playground
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.trajectory import TokenRecord

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/smollm2-135m"
TEMPERATURE = 0.8
ROWS, COMPLETION = 2, 16


def template(documents: str = "compact", instructions: str = "long") -> Template:
    return Template(load_tokenizer(str(FOLDER)), PromptStyle(documents, instructions))


def prompt_ids(template: Template, task: Task) -> tuple[int, ...]:
    return tuple(template.open(task.turns[0].message, task.tools_offered_at(0)))


def played_group(model: PreTrainedModel) -> list[TokenRecord]:
    """Sample rows of two steps each after a common prompt of the playground."""
    (task,) = Playground(train_size=1).tasks(Split.TRAIN)
    texts = template()
    prompt, observation = prompt_ids(texts, task), texts.append("[1] ls: {}")
    ids = [list(prompt) for _ in range(ROWS)]
    masks: list[list[bool]] = [[False] * len(prompt) for _ in range(ROWS)]
    logprobs: list[list[float]] = [[0.0] * len(prompt) for _ in range(ROWS)]

    def request(row: int) -> Request:
        return Request(tuple(ids[row]), 10 * row + len(ids[row]), COMPLETION)

    def take(row: int, completion: Completion) -> Request | None:
        """Continue with an observation after the first completion."""
        ended = len(ids[row]) > len(prompt)
        following = [] if ended else [*texts.close_clipped(completion.ids), *observation]
        ids[row] += [*completion.ids, *following]
        masks[row] += [True] * len(completion.ids) + [False] * len(following)
        logprobs[row] += [*completion.logprobs, *[0.0] * len(following)]
        return None if ended else request(row)

    generator = HFGenerator(temperature=TEMPERATURE)
    generator.update_weights(model, 0)
    generator.run([request(row) for row in range(ROWS)], take)
    return [
        TokenRecord(tuple(i), tuple(m), tuple(p), len(prompt)) for i, m, p in zip(ids, masks, logprobs, strict=True)
    ]


def bare_model(dtype: torch.dtype, folder: Path = FOLDER) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


@torch.no_grad()
def bare_logprobs(model: PreTrainedModel, records: list[TokenRecord]) -> torch.Tensor:
    """Return the log-probs of the sampled tokens of each record from a pass of its own."""
    found = []
    for record in records:
        ids = torch.tensor(record.ids)
        sampled = torch.tensor(record.completion_mask).nonzero()[:, 0]
        logits = model(input_ids=ids[None], use_cache=False).logits[0, sampled - 1].float() / TEMPERATURE
        found.append(logits.log_softmax(-1).gather(-1, ids[sampled, None])[:, 0])
    return torch.cat(found)


@torch.no_grad()
def greedy(folder: Path, ids: tuple[int, ...], count: int) -> list[int]:
    """Return what transformers' own generation continues ``ids`` with, in float32."""
    given = torch.tensor(ids)[None]
    mask = torch.ones_like(given)
    output: Any = bare_model(torch.float32, folder).generate(
        given, attention_mask=mask, max_new_tokens=count, do_sample=False
    )
    return output[0, len(ids) :].tolist()


def chat_ids(question: str) -> tuple[int, ...]:
    """Return the ids of a question, as transformers renders the chat template."""
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)
    messages = [{"role": "user", "content": question}]
    return tuple(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"])
