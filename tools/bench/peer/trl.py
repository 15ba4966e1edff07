"""TRL's side of `python -m tools.bench.loop --peer trl`: runs updates and prints a report of them as JSON.

TRL's `GRPOTrainer` plays the episodes in its own tool loop and generates by `model.generate`. Its environment is an
envtune episode behind one tool, to which every response but a final answer is passed: both sides run the same tools,
parse the same protocol and read the same observations.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import envtune.process_start

# TRL warns at import that the interfaces used here may change.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.grpo.settings import GRPOSettings
from envtune.program import run_program
from envtune.task import Task
from envtune.trajectory import FinalAnswer
from tools.bench.peer import work as peer_work
from tools.bench.peer.work import Report, Update, Work

# The model's own template, with two things that TRL requires: it renders calls, and results as user messages.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}\n"
    "{{ message.content }}{% for call in message.tool_calls or [] %}"
    "{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main() -> None:
    """Run the updates and print the report."""
    work, tasks = peer_work.start(__doc__)
    warnings.filterwarnings("ignore")
    messages = [_messages(task) for task in tasks]
    tokenizer = _tokenizer(peer_work.tiny_template())
    prompts = [tokenizer.apply_chat_template(m, add_generation_prompt=True, return_dict=False) for m in messages]
    measured = _Measured(work, sum(map(len, prompts)) * work.group_size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=peer_work.MODEL,
            args=_config(work, folder),
            train_dataset=Dataset.from_list([{"prompt": m, "task": number} for number, m in enumerate(messages)]),
            processing_class=tokenizer,
            reward_funcs=measured.timing(text_rewards if work.plain_tokens else progress),
            environment_factory=None if work.plain_tokens else _environment(work, tasks),
            callbacks=[measured],
        )
        trainer.train()
    Report(tuple(measured.updates), peer_work.digest(prompts)).print()


def progress(completions: Sequence[list[dict[str, Any]]], environments: Sequence[Any], **_: Any) -> list[float]:
    """Return the progress of each episode, the share of passed turns in [0, 1]; each episode has one turn."""
    return [env.finish_(messages) for env, messages in zip(environments, completions, strict=True)]


def text_rewards(completions: Sequence[list[dict[str, Any]]], **_: Any) -> list[float]:
    """Return the reward of each completion without tools."""
    return [peer_work.text_reward(messages[0]["content"]) for messages in completions]


def _environment(work: Work, tasks: tuple[Task, ...]) -> Callable[[], Any]:
    """Return a class whose public functions TRL offers as tools; it calls `reset` with the row of the data set."""

    class FirstTurn:
        def reset(self, task: int, **_: Any) -> None:
            self._episode = Episode(BFCL_ENVIRONMENT, tasks[task], parse, NoAugmentation(), work.step_limit)
            self._episode.reset()
            self._steps = 0

        def respond(self, response: str, clipped: bool) -> str:
            """Run the calls of a response.

            Args:
                response: The text of the response.
                clipped: Whether it reached its length limit.
            """
            self._steps += 1
            return self._episode.step(response, clipped).text

    # A property, which TRL does not offer as a tool: plays the last response, which TRL's loop does not, and scores.
    FirstTurn.finish_ = property(lambda self: lambda messages: _finish(self, messages))  # type: ignore[attr-defined]
    return FirstTurn


def _finish(env: Any, messages: list[dict[str, Any]]) -> float:
    responses = [message for message in messages if message["role"] == "assistant"]
    over = False
    if len(responses) > env._steps:
        over = env._episode.step(responses[-1]["content"], responses[-1]["clipped"]).done
    if not over:
        # The next observation exceeded max_response_tokens.
        env._episode.truncate()
    return env._episode.finish().progress


def _messages(task: Task) -> list[dict[str, str]]:
    system = peer_work.STYLE.system_prompt(task.tools_offered_at(0))
    return [{"role": "system", "content": system}, {"role": "user", "content": task.turns[0].message}]


def _tokenizer(template: Template) -> Any:
    """Return the embedded model's tokenizer, with envtune's parser of responses in place of TRL's schema."""
    tokenizer = load_tokenizer(peer_work.MODEL)
    tokenizer.padding_side = "left"
    tokenizer.chat_template = CHAT_TEMPLATE
    # Any value but None makes TRL call the tokenizer's `parse_response`, and the one below does not read it.
    tokenizer.response_template = {}

    def parse_response(ids: Sequence[int], **_: Any) -> dict[str, Any]:
        text, clipped = template.decode(ids), ids[-1] not in template.end_ids
        message: dict[str, Any] = {"role": "assistant", "content": text, "clipped": clipped}
        if not isinstance(parse(text), FinalAnswer):
            arguments = {"response": text, "clipped": clipped}
            message["tool_calls"] = [{"type": "function", "function": {"name": "respond", "arguments": arguments}}]
        return message

    tokenizer.parse_response = parse_response
    return tokenizer


def _config(work: Work, folder: str) -> GRPOConfig:
    ours = GRPOSettings()
    lengths = {"max_new_tokens": work.max_completion_tokens}
    if work.plain_tokens:
        lengths = {"max_new_tokens": work.plain_tokens, "min_new_tokens": work.plain_tokens}
    sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "generation_kwargs": lengths}
    optimizer = {"optim": "adamw_torch", "weight_decay": 0.01, "max_grad_norm": ours.gradient_clip}
    loss = {"loss_type": "grpo", "scale_rewards": "group", "beta": ours.beta, "entropy_coef": ours.entropy_coef}
    clips = {"epsilon": ours.clip_low, "epsilon_high": ours.clip_high, "delta": ours.dual_clip}
    quiet = {"logging_steps": 1, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    settings: dict[str, Any] = sampling | optimizer | loss | clips | quiet
    return GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32"},
        per_device_train_batch_size=work.tasks * work.group_size,
        num_generations=work.group_size,
        max_steps=work.updates + 1,
        max_completion_length=work.plain_tokens or work.max_response_tokens,
        # The tool loop generates once more after the last tool.
        max_tool_calling_iterations=work.step_limit,
        learning_rate=work.learning_rate,
        lr_scheduler_type="constant",
        seed=work.seed,
        **settings,
    )


class _Measured(TrainerCallback):
    """Times updates, and counts the tokens that TRL generated and those of the rewarded completions."""

    def __init__(self, work: Work, prompt_tokens: int) -> None:
        self.updates: list[Update] = []
        self._prompt_tokens = prompt_tokens
        self._seen = self._response_tokens = 0
        self._ended = self._played = 0.0

    def timing(self, reward: Callable[..., list[float]]) -> Any:
        """Wrap ``reward``, whose end is the end of the rollout."""

        def timed(completion_ids: Sequence[Sequence[int]], **arguments: Any) -> list[float]:
            rewards = reward(**arguments)
            self._response_tokens = sum(map(len, completion_ids))
            self._played = time.perf_counter()
            return rewards

        return timed

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._ended = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        before, self._ended = self._ended, time.perf_counter()
        # TRL adds up prompts and sampled tokens, but not the results of tools.
        sampled = int(state.num_input_tokens_seen) - self._seen - self._prompt_tokens
        self._seen = int(state.num_input_tokens_seen)
        tokens = self._prompt_tokens + self._response_tokens
        self.updates.append(Update(self._ended - before, self._played - before, tokens, sampled))


if __name__ == "__main__":
    run_program(main)
