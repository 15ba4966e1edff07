"""Builds the embedded default model, ``model=tiny``: tokenizer, warm start on demonstrations, scores and model card.

    python tools/build_tiny_model.py --output envtune/models/tiny

It is a stand-in for a pretrained model: two million parameters that know the response protocol and the training tasks
well enough to sometimes pass a turn, so that reinforcement learning has something to work with on two CPU cores. Only
tasks of the scenario split's training side are used, in all four categories. The demonstrations are the ground truth,
really played through ``Episode``, with some careless steps mixed in so that what is sampled from the model varies.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol import parse, render_answer, render_calls
from envtune.chat.template import Template
from envtune.data.bfcl import CATEGORIES, BFCL
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode, Observation
from envtune.task import Split, Task, ToolCall, UserTurn

VOCABULARY = 3000
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STYLES = (PromptStyle("compact", "short"), PromptStyle("compact", "long"))
STEP_LIMIT = 5

# Shares of careless steps in the demonstrations.
ANSWERS_WITHOUT_ACTING = 0.04
CALLS_WRONGLY_FIRST = 0.08
SLIPS = 0.04
ALL_CALLS_IN_ONE_STEP = 0.6

BATCH_TOKENS = 4096
LEARNING_RATE = 3e-3
WARMUP = 0.04
WEIGHT_DECAY = 0.05
OTHERS_WEIGHT = 0.1

CALL_THOUGHTS = ("Next: {}.", "I use {}.", "{} does this.", "This needs {}.", "Now {}.")
RETRY_THOUGHTS = ("That failed, so {}.", "Again, with {}.", "I correct the call: {}.")
DONE_THOUGHTS = ("All done.", "The results are in.", "Nothing is left to do.", "That was all.")
DONE_ANSWERS = ("Done.", "It is done.", "That is finished.", "Everything you asked for is done.")
STUCK_THOUGHTS = ("I cannot do this yet.", "Something is missing.", "No call fits.")
STUCK_ANSWERS = ("I cannot do this yet: a tool or a value is missing.", "Please tell me more, something is missing.")


@dataclass(frozen=True)
class Phase:
    """A part of the training: which demonstrations, and how they are shown.

    ``documents``: the prompt holds the tools' documents. ``share`` is that of all trained tokens.
    """

    name: str
    share: float
    categories: tuple[str, ...]
    documents: bool
    max_observation_tokens: int
    plays_per_task: int


# Short prompts first: what a turn asks for is learned four times as fast without a thousand tokens in between.
PHASES = (
    Phase("without tool documents", 0.65, ("base", "miss_param"), False, 64, 6),
    Phase("with tool documents", 0.35, CATEGORIES, True, 256, 2),
)


@dataclass(frozen=True)
class Dialogue:
    """One played demonstration as a rollout would record it. ``sampled`` is True on the agent's tokens."""

    ids: tuple[int, ...]
    sampled: tuple[bool, ...]


def build_tokenizer(tasks: Sequence[Task]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, learned from compact tool documents and played dialogues of ``tasks``; single digits."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_tokenizer_texts(tasks), trainer)
    # Tags are single tokens but not special ones, so that decoding shows them.
    bpe.add_tokens(list(TAGS))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=8192,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _tokenizer_texts(tasks: Sequence[Task]) -> Iterator[str]:
    yield from sorted({style.system_prompt(task.tools) for task in tasks for style in STYLES})
    rng = random.Random(0)
    for task in tasks:
        for observation, completion in play(task, rng):
            yield from (observation.text[:2000], *re.split("|".join(TAGS), completion))


def play(task: Task, rng: random.Random) -> Iterator[tuple[Observation, str]]:
    """Plays a demonstration: what the environment shows and the completion that answers it, in pairs."""
    episode = Episode(task, parse, NoAugmentation(), STEP_LIMIT)
    observation = episode.reset()
    for turn in task.turns:
        for completion in completions(turn, rng):
            yield observation, completion
            observation = episode.step(completion)
            if observation.done:
                return


def completions(turn: UserTurn, rng: random.Random) -> list[str]:
    """What the demonstrator says in one turn: the ground truth in a few steps, at times carelessly, then an answer."""
    if not turn.ground_truth or rng.random() < ANSWERS_WITHOUT_ACTING:
        thoughts, answers = (DONE_THOUGHTS, DONE_ANSWERS) if turn.ground_truth else (STUCK_THOUGHTS, STUCK_ANSWERS)
        return [render_answer(rng.choice(thoughts), rng.choice(answers))]
    answer = render_answer(rng.choice(DONE_THOUGHTS), rng.choice(DONE_ANSWERS))
    steps = [step for calls in _portions(turn.ground_truth, rng) for step in _attempts(calls, rng)]
    if len(steps) >= STEP_LIMIT:
        steps = [_calls(CALL_THOUGHTS, turn.ground_truth, rng)]
    return [*steps, answer]


def _portions(calls: Sequence[ToolCall], rng: random.Random) -> list[Sequence[ToolCall]]:
    if rng.random() < ALL_CALLS_IN_ONE_STEP:
        return [calls]
    return [calls[index : index + 1] for index in range(len(calls))]


def _attempts(calls: Sequence[ToolCall], rng: random.Random) -> list[str]:
    if rng.random() < CALLS_WRONGLY_FIRST:
        return [_calls(CALL_THOUGHTS, [_spoiled(calls[0], rng)], rng), _calls(RETRY_THOUGHTS, calls, rng)]
    if rng.random() < SLIPS:
        return [_slip(_calls(CALL_THOUGHTS, calls, rng), rng), _calls(RETRY_THOUGHTS, calls, rng)]
    return [_calls(CALL_THOUGHTS, calls, rng)]


def _calls(thoughts: Sequence[str], calls: Sequence[ToolCall], rng: random.Random) -> str:
    return render_calls(rng.choice(thoughts).format(calls[0].name), calls)


def _spoiled(call: ToolCall, rng: random.Random) -> ToolCall:
    """The call as a beginner writes it: a path for a name, a missing argument, or an invented parameter."""
    texts = [name for name, value in call.arguments.items() if isinstance(value, str)]
    if texts and rng.random() < 0.6:
        name = rng.choice(texts)
        return ToolCall(call.name, {**call.arguments, name: f"./files/{call.arguments[name]}"})
    if call.arguments:
        return ToolCall(call.name, dict(list(call.arguments.items())[1:]))
    return ToolCall(call.name, {"all": True})


def _slip(completion: str, rng: random.Random) -> str:
    """The completion with one of the common slips of format."""
    return rng.choice(
        (
            completion.replace("</think>", ""),
            "Sure. " + completion,
            completion.replace("<tool_call>[", "<tool_call>").replace("]</tool_call>", "</tool_call>"),
            completion.replace("</tool_call>", ""),
            completion[completion.index("<tool_call>") :],
        )
    )


def dialogue(task: Task, documents: bool, template: Template, tokenizer: Any, rng: random.Random) -> Dialogue:
    """One demonstration as token ids."""
    ids: list[int] = []
    sampled: list[bool] = []
    for observation, completion in play(task, rng):
        if ids:
            shown = template.append(observation.text, observation.new_tools)
        else:
            shown = template.open(observation.text, observation.new_tools if documents else ())
        said = [*tokenizer.encode(completion, add_special_tokens=False), template.end_ids[0]]
        ids += shown + said
        sampled += [False] * len(shown) + [True] * len(said)
    return Dialogue(tuple(ids), tuple(sampled))


def demonstrations(phase: Phase, tasks: Sequence[Task], tokenizer: Any, rng: random.Random) -> list[Dialogue]:
    """The phase's plays of each task, with the short and the long instructions in turn."""
    templates = [Template(tokenizer, style, phase.max_observation_tokens) for style in STYLES]
    chosen = [task for task in tasks if task.category in phase.categories] * phase.plays_per_task
    rng.shuffle(chosen)
    return [dialogue(task, phase.documents, templates[n % 2], tokenizer, rng) for n, task in enumerate(chosen)]


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        attn_implementation="sdpa",
    )
    return Qwen2ForCausalLM(config)


def batches(dialogues: Sequence[Dialogue], rng: random.Random) -> Iterator[list[Dialogue]]:
    """Endless: dialogues of about one length, at most BATCH_TOKENS tokens with padding unless one is longer."""
    while True:
        epoch: list[list[Dialogue]] = [[]]
        for item in sorted(dialogues, key=lambda item: len(item.ids) + rng.randrange(200)):
            if epoch[-1] and _padded_tokens([*epoch[-1], item]) > BATCH_TOKENS:
                epoch.append([])
            epoch[-1].append(item)
        rng.shuffle(epoch)
        yield from epoch


def _padded_tokens(batch: Sequence[Dialogue]) -> int:
    return len(batch) * max(len(item.ids) for item in batch)


def loss_of(model: Qwen2ForCausalLM, batch: Sequence[Dialogue]) -> torch.Tensor:
    """Cross-entropy in nats per token, weighted: 1 on the agent's tokens, OTHERS_WEIGHT on the rest."""
    longest = max(len(item.ids) for item in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    weights = torch.zeros(len(batch), longest)
    for row, item in enumerate(batch):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
        weights[row, : len(item.ids)] = torch.where(torch.tensor(item.sampled), 1.0, OTHERS_WEIGHT)
    # Padding stands at the end, where causal attention never looks at it.
    hidden = model.model(ids, use_cache=False).last_hidden_state
    counted = weights[:, 1:] > 0
    losses = functional.cross_entropy(model.lm_head(hidden[:, :-1][counted]), ids[:, 1:][counted], reduction="none")
    weights = weights[:, 1:][counted]
    return (losses * weights).sum() / weights.sum()


def train(model: Qwen2ForCausalLM, parts: Sequence[tuple[Sequence[Dialogue], int]], rng: random.Random) -> int:
    """Trains on each part's dialogues until its number of tokens was processed; returns the number of updates."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    total, seen, end, updates, start = sum(tokens for _, tokens in parts), 0, 0, 0, time.monotonic()
    for dialogues, tokens in parts:
        end += tokens
        for batch in batches(dialogues, rng):
            if seen >= end:
                break
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * _schedule(seen / total)
            loss = loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            seen += _padded_tokens(batch)
            updates += 1
            if updates % 25 == 0:
                print(f"update {updates}: {seen} tokens, loss {loss:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return updates


def _schedule(done: float) -> float:
    """Linear warm-up, then a cosine to zero; ``done`` is the share of the tokens."""
    if done < WARMUP:
        return max(done / WARMUP, 0.02)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP))))
