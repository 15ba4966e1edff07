"""Builds the embedded default model, ``model=tiny``: tokenizer, warm start on demonstrations, scores and model card.

    python tools/build_tiny_model.py --output envtune/models/tiny

It is a stand-in for a pretrained model: two million parameters that know the response protocol and the training tasks
well enough to sometimes pass a turn, so that reinforcement learning has something to work with on two CPU cores. Only
tasks of the scenario split's training side are used, in all four categories. The demonstrations are the ground truth,
really played (``tiny_demonstrations.py``).
"""

from __future__ import annotations

import argparse
import math
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import transformers
from tiny_demonstrations import STEP_LIMIT, Dialogue, dialogue, names_of, play, without_system_message
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.data.bfcl import BFCL, CATEGORIES
from envtune.environment.augmentation.none import NoAugmentation
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.rollout.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.trajectory import FormatError

VOCABULARY = 3000
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STYLES = (PromptStyle("compact", "short"), PromptStyle("compact", "long"))
GROUP_SIZE = 8

BATCH_TOKENS = 3072
LEARNING_RATE = 3e-3
WARMUP = 0.04
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Phase:
    """A part of the training: which demonstrations, and how they are shown.

    ``system_message``: the dialogues begin with it, tool documents and all. ``share`` is that of all trained tokens.
    """

    name: str
    share: float
    categories: tuple[str, ...]
    system_message: bool
    max_observation_tokens: int
    plays_per_task: int


# Without the system message first: it is more than half of a dialogue's tokens, and the same in most of them.
PHASES = (
    Phase("user messages and results only", 0.7, ("base", "miss_param"), False, 64, 8),
    Phase("whole dialogues", 0.3, CATEGORIES, True, 256, 2),
)


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


def demonstrations(phase: Phase, tasks: Sequence[Task], tokenizer: Any, rng: random.Random) -> list[Dialogue]:
    """The phase's plays of each task, with the short and the long instructions in turn."""
    templates = [Template(tokenizer, style, phase.max_observation_tokens) for style in STYLES]
    chosen = [task for task in tasks if task.category in phase.categories] * phase.plays_per_task
    rng.shuffle(chosen)
    names = names_of(tasks)
    played = [dialogue(task, names, templates[n % 2], tokenizer, rng) for n, task in enumerate(chosen)]
    begin = tokenizer.convert_tokens_to_ids("<|im_start|>")
    return played if phase.system_message else [without_system_message(item, begin) for item in played]


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
    """Mean cross-entropy of the agent's tokens, in nats."""
    longest = max(len(item.ids) for item in batch)
    # Padding stands at the end, where causal attention never looks at it.
    ids = torch.tensor([[*item.ids, *[0] * (longest - len(item.ids))] for item in batch])
    sampled = torch.tensor([[*item.sampled, *[False] * (longest - len(item.ids))] for item in batch])
    hidden = model.model(ids, use_cache=False).last_hidden_state
    counted = sampled[:, 1:]
    return functional.cross_entropy(model.lm_head(hidden[:, :-1][counted]), ids[:, 1:][counted])


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
                group["lr"] = learning_rate(seen / total)
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


def learning_rate(done: float) -> float:
    """Linear warm-up, then a cosine to zero; ``done`` is the share of the tokens that were trained on."""
    if done < WARMUP:
        return LEARNING_RATE * max(done / WARMUP, 0.02)
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP))))


def scores(model: Qwen2ForCausalLM, tokenizer: Any, tasks: Sequence[Task]) -> dict[str, float]:
    """What sampling at temperature 1 gives: GROUP_SIZE episodes of each task, without hints."""
    generator = HFGenerator(temperature=1.0)
    generator.update_weights(model, policy_version=0)
    template = Template(tokenizer, STYLES[1], PHASES[-1].max_observation_tokens)
    collector = Collector(generator, template, NoAugmentation(), STEP_LIMIT, 2560, 2048, 160)
    requests = [EpisodeRequest(task, seed) for task in tasks for seed in range(GROUP_SIZE)]
    played = collector.play(requests)
    progress = [trajectory.progress for trajectory in played]
    groups = [progress[start : start + GROUP_SIZE] for start in range(0, len(progress), GROUP_SIZE)]
    steps = [step for trajectory in played for step in trajectory.steps]
    results = [result for trajectory in played for result in trajectory.results]
    return {
        "mean progress": mean(progress),
        "groups without variance": mean(len(set(group)) == 1 for group in groups),
        "tasks passed": mean(trajectory.success for trajectory in played),
        "responses within the protocol": mean(not isinstance(step.action, FormatError) for step in steps),
        "calls without an error": mean(result.ok for result in results) if results else 0.0,
        "truncated episodes": mean(trajectory.truncated for trajectory in played),
        "responses per episode": len(steps) / len(played),
        "tokens per episode": mean(len(trajectory.tokens.ids) for trajectory in played if trajectory.tokens),
    }


def as_loaded(tokenizer: PreTrainedTokenizerFast, model: Qwen2ForCausalLM, folder: Path) -> Any:
    """The tokenizer as users get it: AutoTokenizer makes a Qwen2 tokenizer, with its own word splitting, of the files.

    That is the one that is trained on and saved, so that no way of loading it gives other ids.
    """
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def save(model: Qwen2ForCausalLM, tokenizer: Any, folder: Path) -> None:
    """Weights in bfloat16, configuration and tokenizer in the usual files."""
    folder.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(folder)
    GenerationConfig(
        do_sample=True,
        temperature=1.0,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # safetensors files come out readable by their owner alone.
    (folder / "model.safetensors").chmod(0o644)


def model_card(facts: dict[str, Any], tables: dict[str, dict[str, float]]) -> str:
    """The README of the model's folder."""
    lines = [
        "# tiny",
        "",
        "The embedded default model of envtune, written by `tools/build_tiny_model.py`. **It is a stand-in for a",
        "pretrained model**: a small Qwen2, trained from scratch on played ground truths of the training tasks, so",
        "that the whole method can be run and watched on two CPU cores. Its scores say nothing about the method.",
        "",
        "No text or weights of any other model are in it. It saw BFCL's training-side tasks of the scenario split (all",
        "four categories) and no task of the validation or test side.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
        f"Sampled at temperature 1 with the long instructions, {GROUP_SIZE} episodes a task, no hints:",
        "",
        "| | " + " | ".join(tables) + " |",
        "|---|" + "---|" * len(tables),
    ]
    rows = next(iter(tables.values()))
    lines += [f"| {row} | " + " | ".join(f"{table[row]:.3f}" for table in tables.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def build(folder: Path, seed: int, tokens: int, every: int = 1, scored_tasks: int = 16) -> None:
    """The whole recipe. Of the training tasks, one in ``every`` is used."""
    start = time.monotonic()
    transformers.set_seed(seed)
    rng = random.Random(seed)
    data = BFCL(CATEGORIES)
    tasks = data.tasks(Split.TRAIN)[::every]
    tokenizer = build_tokenizer(tasks)
    model = build_model(tokenizer)
    tokenizer = as_loaded(tokenizer, model, folder)
    parts = [(demonstrations(phase, tasks, tokenizer, rng), int(phase.share * tokens)) for phase in PHASES]
    updates = train(model, parts, rng)
    save(model, tokenizer, folder)
    built = time.monotonic() - start
    # What is scored is what was saved: the rounded weights.
    saved = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    validation = data.tasks(Split.VAL)
    tables = {
        "training tasks": scores(saved, tokenizer, rng.sample(tasks, min(scored_tasks, len(tasks)))),
        "validation tasks": scores(saved, tokenizer, rng.sample(validation, min(scored_tasks, len(validation)))),
    }
    facts = {
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
        "vocabulary": len(tokenizer),
        "seed": seed,
        "tokens": f"{tokens:,}",
        "updates": updates,
        "learning rate": LEARNING_RATE,
        "tokens per update": f"up to {BATCH_TOKENS:,}",
        "phases": "; ".join(f"{phase.share:.0%} {phase.name}" for phase in PHASES),
        "demonstrations": sum(len(dialogues) for dialogues, _ in parts),
        "benchmark": data.describe()["package"],
        "wall time of the build": f"{built / 60:.1f} minutes, {torch.get_num_threads()} threads",
        "wall time of the scores": f"{(time.monotonic() - start - built) / 60:.1f} minutes",
        "software": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }
    card = model_card(facts, tables)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(card)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("envtune/models/tiny"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=2_200_000, help="tokens to train on")
    parser.add_argument("--smoke", action="store_true", help="twenty tasks and a few updates, to try the recipe")
    options = parser.parse_args(arguments)
    if options.smoke:
        build(options.output, options.seed, tokens=20_000, every=20, scored_tasks=2)
    else:
        build(options.output, options.seed, options.tokens)


if __name__ == "__main__":
    main()
