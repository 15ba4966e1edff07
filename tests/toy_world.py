"""A small world for tests: tasks on a file system, a tokenizer, a language model, a generator that plays a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.none import NoAugmentation
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.rollout.collector import Collector
from envtune.rollout.generator import Advance, Completion, Generator, Request
from envtune.task import Split, Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import Trajectory

# These tensors are too small for a second thread to be worth its start.
torch.set_num_threads(1)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STYLE = PromptStyle("compact", "short")
DOCUMENTS = tuple(
    ToolDocument(name, f"Does {name}.", {"type": "dict", "properties": {}}, domain="GorillaFileSystem")
    for name in ("mkdir", "ls")
)
MKDIR = '<think>I make it.</think><tool_call>[{"name": "mkdir", "arguments": {"dir_name": "a"}}]</tool_call>'
LS = '<think>I look.</think><tool_call>[{"name": "ls", "arguments": {}}]</tool_call>'
ANSWER = "<think>It is done.</think><answer>Done.</answer>"
PERFECT = (MKDIR, ANSWER, LS, ANSWER)
# The second call fails, for the folder exists; the rest goes well.
TWICE = (MKDIR, MKDIR, ANSWER, LS, ANSWER)
IDLE = (ANSWER, ANSWER)

Script = Callable[[Sequence[str], int], str]


def always(lines: Sequence[str]) -> Script:
    """Every episode says these lines, one in each step."""
    return lambda users, seed: lines[len(users) - 1]


def toy_task(number: int = 0, category: Category = Category.BASE) -> Task:
    """Two turns: make the folder a, then list it. The first message names the task."""
    turns = (
        UserTurn(f"Task {number}: make a.", (ToolCall("mkdir", {"dir_name": "a"}),)),
        UserTurn("What is here?", (ToolCall("ls", {}),)),
    )
    return Task(f"toy_{number}", category, Scenario(number, ("GorillaFileSystem",), {}), turns, DOCUMENTS)


def toy_tokenizer() -> Any:
    """Byte-level BPE of 400 tokens with ChatML; every text survives encoding and decoding."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([STYLE.system_prompt(DOCUMENTS), MKDIR, LS, ANSWER], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = CHATML
    return fast


def toy_model(seed: int = 0) -> Qwen2ForCausalLM:
    """Two layers of width 32 for ``toy_tokenizer``, with weights large enough to be far from uniform."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
    )
    return Qwen2ForCausalLM(config)


class ScriptedGenerator:
    """Says what ``script(user messages so far, seed of the request)`` says; observations are user messages too.

    The i-th id of a completion has log-prob -(i + 1) / 64. What does not fit ``max_new_tokens`` is cut off.
    """

    def __init__(self, tokenizer: Any, script: Script) -> None:
        self.temperature = 1.0
        self.policy_version = 0
        self.fed_tokens = 0
        self.calls: list[list[Request]] = []
        self.greedy: list[bool] = []
        self._tokenizer = tokenizer
        self._script = script

    def update_weights(self, model: nn.Module, policy_version: int) -> None:
        self.policy_version = policy_version

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """In rounds: ``calls`` holds the requests of each."""
        running = dict(enumerate(first))
        while running:
            self.calls.append(list(running.values()))
            self.greedy.append(greedy)
            following = {number: advance(number, self._complete(request)) for number, request in running.items()}
            running = {number: request for number, request in following.items() if request}

    def _complete(self, request: Request) -> Completion:
        texts = self._tokenizer.decode(request.ids).split("<|im_start|>user\n")[1:]
        said = self._script([text.split("<|im_end|>")[0] for text in texts], request.seed)
        ids = (*self._tokenizer.encode(said, add_special_tokens=False), self._tokenizer.eos_token_id)
        kept = ids[: request.max_new_tokens]
        return Completion(kept, tuple(-(i + 1) / 64 for i in range(len(kept))), len(kept) == len(ids))


def toy_collector(
    tokenizer: Any, generator: Generator, augmentation: Augmentation | None = None, **settings: Any
) -> Collector:
    limits = {
        "step_limit": 2,
        "at_step_limit": "end",
        "max_prompt_tokens": 1024,
        "max_response_tokens": 512,
        "max_completion_tokens": 96,
    }
    return Collector(
        generator, Template(tokenizer, STYLE), BFCL_ENVIRONMENT, augmentation or NoAugmentation(), **(limits | settings)
    )


class ToyTasks:
    """A task source: as many training and validation tasks as asked for."""

    def __init__(self, train: int = 4, val: int = 2) -> None:
        self._tasks = {
            Split.TRAIN: tuple(toy_task(number) for number in range(train)),
            Split.VAL: tuple(toy_task(number) for number in range(train, train + val)),
        }

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return self._tasks[split]

    def describe(self) -> dict[str, Any]:
        return {"benchmark": "toy"}


class SeedReward:
    """A number from 0 to 96 that differs within nearly every group, whatever was played."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("seed", float(trajectory.seed % 97)),))
