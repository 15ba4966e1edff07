"""Build the embedded default model, ``model=tiny``: tokenizer, cloning of demonstrations, scores and model card.

    python -m tools.tiny_model.build --output envtune/models/tiny

It is a stand-in for a pretrained model: a few million parameters that can copy arguments and choose tools, and are
sloppy where reinforcement learning can improve them. After exercises in looking up (``recitations.py``) it clones
careful and careless demonstrators (``demonstrators.py``), whose users' messages are reworded (``rewording.py``), in
playground tasks and in BFCL's training tasks of the scenario split, never in validation or test tasks. Each phase ends
with a checkpoint in ``--work``, after which a stopped build resumes.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

import envtune.process_start

import torch
import transformers
from lightning import Fabric
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM
from typing_extensions import override

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.playground.source import Playground
from envtune.program import run_program
from envtune.task import Split, Task
from tools.tiny_model import recitations
from tools.tiny_model.attention import NAME as CAUSAL_BLOCKS
from tools.tiny_model.attention import initialize, register
from tools.tiny_model.card import model_card
from tools.tiny_model.demonstrators import Habits
from tools.tiny_model.dialogues import Demonstrations, Dialogue, Mixture, tokenizer_texts
from tools.tiny_model.offers import all_exercises, offers
from tools.tiny_model.scores import BUDGET, scores
from tools.tiny_model.tokenizer import VOCABULARY, as_loaded, learn

TOKENIZER_TASKS = 2_000
DIALOGUES_SORTED_AT_ONCE = 256
LEARNING_RATE = 2e-3
MATRIX_LEARNING_RATE = 3e-3
WARMUP_UPDATES = 100

# Makes occasional mistakes and repairs them.
MOSTLY_CAREFUL = Habits(
    skips_prerequisites=0.1,
    guesses_instead_of_looking_up=0.1,
    spoils_arguments=0.05,
    breaks_answers=0.03,
    breaks_calls=0.03,
)
# Makes the mistakes that the curriculum trains away.
CARELESS = Habits(
    skips_prerequisites=0.9,
    guesses_instead_of_looking_up=0.05,
    stops_halfway=0.9,
    gives_up_after_an_error=0.85,
    gives_up_after_a_hint=0.25,
    acts_instead_of_asking=0.9,
    answers_without_acting=0.1,
    spoils_arguments=0.02,
    breaks_answers=0.7,
    breaks_calls=0.15,
    repeats_what_was_refused=0.4,
)


@dataclass(frozen=True)
class Phase:
    """A part of the training, in which the learning rates change linearly."""

    name: str
    tokens: int
    mixture: Mixture | None
    """Where dialogues are drawn from; None for exercises only."""
    batch_tokens: int
    """Tokens per update of one process, with padding."""
    rates: tuple[float, float] = (1.0, 1.0)
    """First and last learning rate, as shares of the peak."""
    share: float = 0.0
    """Share of exercises among the dialogues."""
    exercises: Callable[[Any, random.Random], Iterator[Dialogue]] = recitations.recitations


# Shares of the rates: in exercises that ask for more than copying, and in the last dialogues.
STEADY, COOLING = (0.33, 0.33), (0.33, 0.05)
# Without the system message, which is more than half of a dialogue's tokens and the same in most of them.
MESSAGES = Mixture(MOSTLY_CAREFUL, 0.5, 1.0, 0.0, 160)
DIALOGUES = Mixture(MOSTLY_CAREFUL, 0.5, 1.0, 0.6, 512)
# Looking up comes first, from the easiest to what dialogues ask for: left to them alone it takes millions of tokens.
# Each phase ends in a checkpoint.
PHASES = (
    Phase("looking up and copying", 1_200_000, None, 1024, (0.5, 0.5), exercises=recitations.first_lookups),
    Phase("whose value", 1_500_000, None, 1024, STEADY, exercises=recitations.associations),
    Phase("which row", 1_500_000, None, 768, STEADY, exercises=recitations.row_lookups),
    Phase("which row is meant", 1_000_000, None, 768, STEADY, exercises=recitations.questions),
    Phase("looking up in many rows", 1_200_000, None, 1024, STEADY, exercises=recitations.mixed_exercises),
    Phase("user messages and results", 3_000_000, MESSAGES, 3072, (0.5, 0.5), 0.25, recitations.mixed_exercises),
    Phase("which tools are offered", 1_200_000, DIALOGUES, 1024, STEADY, share=0.9, exercises=offers),
    *(Phase("whole dialogues", 3_000_000, DIALOGUES, 3072, (0.5, 0.5), 0.4, all_exercises),) * 3,
    Phase("whole dialogues, cooling", 4_000_000, DIALOGUES, 3072, COOLING, 0.25, all_exercises),
    Phase("careful and careless", 2_000_000, Mixture(CARELESS, 0.1, 0.9, 1.0, 512), 3072, (0.15, 0.0)),
)


def build_model(tokenizer: Any) -> LlamaForCausalLM:
    """Return the untrained model."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=3,
            num_key_value_heads=3,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    register()
    model.set_attn_implementation(CAUSAL_BLOCKS)
    initialize(model)
    return model


def batches(dialogues: Iterator[Dialogue], batch_tokens: int, rng: random.Random) -> Iterator[list[Dialogue]]:
    """Yield endless batches of similar lengths, at most ``batch_tokens`` with padding unless a dialogue is longer."""
    while True:
        drawn = sorted((next(dialogues) for _ in range(DIALOGUES_SORTED_AT_ONCE)), key=lambda item: len(item.ids))
        filled: list[list[Dialogue]] = [[]]
        for item in drawn:
            if filled[-1] and _padded_tokens([*filled[-1], item]) > batch_tokens:
                filled.append([])
            filled[-1].append(item)
        rng.shuffle(filled)
        yield from filled


def _padded_tokens(batch: Sequence[Dialogue]) -> int:
    return len(batch) * max(len(item.ids) for item in batch)


def optimizers_of(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers, which halves the tokens until they copy, and AdamW for the others."""
    named = dict(model.named_parameters())
    matrices = [name for name, weights in named.items() if weights.ndim == 2 and "embed" not in name]
    others = [weights for name, weights in named.items() if name not in matrices]
    return [
        torch.optim.Muon([named[name] for name in matrices], weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    ]


class AgentLoss(nn.Module):
    """Mean cross-entropy of the agent's tokens of a batch, in nats per token."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, ids: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
        counted = sampled[:, 1:]
        hidden = self.model.model(ids, use_cache=False).last_hidden_state
        logits = self.model.lm_head(hidden[:, :-1][counted])
        return functional.cross_entropy(logits.float(), ids[:, 1:][counted])


def padded(batch: Sequence[Dialogue]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and mask of sampled tokens, [B, L] each, padded on the right: causal attention ignores it."""
    ids, sampled = ([torch.tensor(item.ids) for item in batch], [torch.tensor(item.sampled) for item in batch])
    return pad_sequence(ids, batch_first=True), pad_sequence(sampled, batch_first=True)


class Build:
    """The training, phase by phase. Every process draws its own dialogues; gradients are averaged.

    Args:
        tasks: BFCL's training tasks.
        seed: Of the tokenizer's texts and of the dialogues.
        share: Share of the tokens of every phase, in (0, 1].
        work: Folder for the tokenizer and a checkpoint of each finished phase.
        fabric: The processes and their devices.
    """

    def __init__(self, tasks: Sequence[Task], seed: int, share: float, work: Path, fabric: Fabric) -> None:
        self._tasks, self._seed, self._share, self._work, self._fabric = tasks, seed, share, work, fabric
        work.mkdir(parents=True, exist_ok=True)
        with fabric.rank_zero_first():
            self.tokenizer = self._tokenizer()
        self.model = build_model(self.tokenizer)
        self._loss, *self._optimizers = fabric.setup(AgentLoss(self.model), *optimizers_of(self.model))
        self.updates, self.minutes = 0, 0.0

    def run(self) -> None:
        """Train every phase that has no checkpoint yet."""
        for number, phase in enumerate(PHASES):
            checkpoint = self._work / f"phase_{number}.pt"
            if not checkpoint.is_file():
                self._train(phase, number)
                if self._fabric.is_global_zero:
                    optimizers = [optimizer.state_dict() for optimizer in self._optimizers]
                    counts = {"updates": self.updates, "minutes": self.minutes}
                    torch.save({"model": self.model.state_dict(), "optimizers": optimizers, **counts}, checkpoint)
            self._fabric.barrier()
            state = torch.load(checkpoint, weights_only=True)
            self.model.load_state_dict(state["model"])
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.updates, self.minutes = state["updates"], state["minutes"]

    def _tokenizer(self) -> Any:
        if not (self._work / "tokenizer.json").is_file():
            learned = learn(tokenizer_texts(self._tasks, TOKENIZER_TASKS, random.Random(self._seed)))
            as_loaded(learned, LlamaConfig(vocab_size=VOCABULARY), self._work)
        return AutoTokenizer.from_pretrained(self._work)

    def _train(self, phase: Phase, number: int) -> None:
        rng = random.Random(f"{self._seed} {number} {self._fabric.global_rank}")
        end, seen, start, losses = phase.tokens * self._share, 0, time.monotonic(), []
        for batch in batches(self._dialogues(phase, rng), phase.batch_tokens, rng):
            if seen >= end:
                break
            first, last = phase.rates
            warmth = min(1.0, (self.updates + 1) / WARMUP_UPDATES)
            for optimizer, peak in zip(self._optimizers, (MATRIX_LEARNING_RATE, LEARNING_RATE), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = peak * (warmth * (first + (last - first) * (seen / end)))
            losses.append(self._update(batch))
            seen += sum(self._of_all(_padded_tokens(batch)))
            if len(losses) % 50 == 0:
                minutes = (time.monotonic() - start) / 60
                self._fabric.print(f"{phase.name}: {seen:,} tokens, loss {mean(losses[-50:]):.3f}, {minutes:.1f} min")
        self.minutes += (time.monotonic() - start) / 60

    def _dialogues(self, phase: Phase, rng: random.Random) -> Iterator[Dialogue]:
        exercises = phase.exercises(self.tokenizer, rng)
        if phase.mixture is None:
            return exercises
        demonstrations = Demonstrations(self._tasks, self.tokenizer, rng).drawn(phase.mixture)
        return (next(exercises if rng.random() < phase.share else demonstrations) for _ in count())

    def _of_all(self, number: int) -> list[int]:
        """Return the ``number`` of each process."""
        gathered = self._fabric.all_gather(torch.tensor(number))
        assert isinstance(gathered, torch.Tensor)
        return gathered.flatten().tolist()

    def _update(self, batch: Sequence[Dialogue]) -> float:
        loss = self._loss(*(self._fabric.to_device(tensor) for tensor in padded(batch)))
        self._fabric.backward(loss)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.updates += 1
        return loss.item()


def save(model: LlamaForCausalLM, tokenizer: Any, folder: Path) -> None:
    """Write weights in bfloat16, configuration and tokenizer to a model folder of Hugging Face's."""
    folder.mkdir(parents=True, exist_ok=True)
    model.cpu().bfloat16().save_pretrained(folder)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    sampling = GenerationConfig(do_sample=True, temperature=1.0, eos_token_id=[end, pad], pad_token_id=pad)
    sampling.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # safetensors makes files that only their owner can read.
    (folder / "model.safetensors").chmod(0o644)


def build(folder: Path, work: Path, seed: int, share: float, fabric: Fabric, every: int = 1, tried: int = 100) -> None:
    """Train, save and score the model. Uses one of ``every`` training tasks of BFCL, and ``tried`` tasks for scores."""
    transformers.set_seed(seed)
    bfcl = BFCL(CATEGORIES)
    made = Build(bfcl.tasks(Split.TRAIN)[::every], seed, share, work, fabric)
    made.run()
    if not fabric.is_global_zero:
        return
    save(made.model, made.tokenizer, folder)
    # Scores are those of the saved weights, which were rounded.
    saved = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    held_out = Playground(val_size=tried).tasks(Split.VAL)
    validation = bfcl.tasks(Split.VAL)[: tried // 2]
    tables = {
        "playground, greedy": scores(saved, made.tokenizer, held_out, greedy=True),
        "playground, sampled": scores(saved, made.tokenizer, held_out, greedy=False),
        "BFCL, sampled": scores(saved, made.tokenizer, validation, greedy=False),
    }
    facts = {
        "parameters": f"{sum(p.numel() for p in saved.parameters()):,}",
        "vocabulary": len(made.tokenizer),
        "seed": seed,
        "tokens": f"{share * sum(phase.tokens for phase in PHASES):,.0f}",
        "updates": made.updates,
        "learning rates": f"{MATRIX_LEARNING_RATE} (Muon), {LEARNING_RATE} (AdamW)",
        "processes": fabric.world_size,
        "benchmark": bfcl.describe()["package"],
        "wall time of the training": f"{made.minutes:.0f} minutes",
        "software": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }
    card = model_card(facts, PHASES, tables, BUDGET)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(card)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the model from command-line options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("envtune/models/tiny"), help="folder to write")
    parser.add_argument("--work", type=Path, default=Path("tiny_build"), help="folder for what a stopped build needs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accelerator", default="cpu", help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each on a CPU; devices otherwise")
    parser.add_argument("--smoke", action="store_true", help="a few tasks and updates, to try the recipe")
    options = parser.parse_args(arguments)
    # Two processes of one thread are faster than two threads: the model's operations are small.
    torch.set_num_threads(1)
    strategy = "ddp" if options.processes > 1 else "auto"
    fabric = Fabric(
        accelerator=options.accelerator, strategy=strategy, devices=options.processes, precision="bf16-mixed"
    )
    fabric.launch()
    if options.smoke:
        build(options.output, options.work, options.seed, 0.003, fabric, every=20, tried=2)
    else:
        build(options.output, options.work, options.seed, 1.0, fabric)


if __name__ == "__main__":
    run_program(main)
