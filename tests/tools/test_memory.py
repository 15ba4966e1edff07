"""The estimate against numbers worked out on paper, and against what PyTorch's CPU allocator handed out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ended_command import status
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM

from envtune.bfcl.category import Category
from envtune.command_line.memory_estimate import PHASES, MemoryPart, cache_slots, estimate, micro_batch, sharding
from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.training.memory.simulated_update import MicroBatch, fullest_micro_batch
from envtune.training.model.policy import Policy
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory
from tools.bench.random_update import ONE_STEP
from tools.memory.estimate import compose, main, table

SMALL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
# Two matrices of the vocabulary; in a layer q and o, k and v (with biases of q, k and v), three of the MLP, two norms;
# the last norm.
LINEAR = 2 * (32 * 32 + 32 + 2 * (32 * 16 + 16) + 32 * 32 + 3 * 32 * 64)
PARAMETERS = 2 * 100 * 32 + LINEAR + 2 * 2 * 32 + 32
LENGTHS = (
    "rollout.max_prompt_tokens=96",
    "rollout.max_response_tokens=64",
    "grpo.group_size=4",
    "grpo.tasks_per_update=1",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds a config.json and nothing else."""
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    return tmp_path


def config_of(folder: Path, *settings: str) -> Any:
    return compose(["model=hf", f"model.path={folder}", *LENGTHS, *settings])


def sizes(parts: list[MemoryPart]) -> dict[str, int]:
    """By the first words of a part's name."""
    return {part.name.split(",")[0].split(" (")[0]: part.size for part in parts}


def total(parts: list[MemoryPart], phase: str) -> int:
    return sum(part.size for part in parts if phase in part.phases)


def test_weights_reference_gradients_and_both_moments_of_adam_are_four_bytes_a_parameter(folder: Path):
    kept = sizes(estimate(config_of(folder, "trainer=cpu")))
    # Beside the parameters: the frequencies of 8-dimensional heads, four float32 numbers held twice.
    assert kept["weights"] == kept["reference"] == 4 * PARAMETERS + 2 * 4 * 4
    assert kept["gradients"] == 4 * PARAMETERS
    # Two moments, and a float32 number of steps for each of 2 x 12 + 3 tensors.
    assert kept["optimiser's states"] == 2 * 4 * PARAMETERS + 4 * 27


def test_on_a_gpu_autocast_keeps_the_layers_weights_in_two_bytes_and_the_step_takes_all_weights_once_more(folder: Path):
    found = sizes(estimate(config_of(folder, "trainer=gpu")))
    assert found["weights in bf16-mixed's dtype"] == 2 * LINEAR
    assert found["working memory of the step"] == pytest.approx(4 * PARAMETERS, rel=0.01)


def test_an_adapter_needs_no_reference_and_has_the_only_gradients(folder: Path):
    pytest.importorskip("peft")
    found = sizes(estimate(config_of(folder, "trainer=cpu", "model.lora.r=2", "model.dtype=bfloat16")))
    # Rank 2 beside q and o (32 + 32), k and v (32 + 16), gate, up and down (32 + 64), in two layers.
    adapter = 2 * 2 * (2 * 64 + 2 * 48 + 3 * 96)
    assert found["adapter"] == found["gradients"] == 4 * adapter
    assert found["reference"] == 0
    assert found["weights"] == 2 * PARAMETERS + 2 * 4 * 4


def test_keys_and_values_fill_rows_as_long_as_the_longest_up_to_the_generators_limit(folder: Path):
    config = config_of(folder, "trainer=cpu", "grpo.tasks_per_update=3", "rollout.generator.max_batch_size=6")
    # Six rows of two groups at a time.
    assert cache_slots(config) == 2 * 96 + 6 * 64
    # Two layers, keys and values, two heads of eight float32 numbers.
    assert sizes(estimate(config))["keys and values"] == (2 * 96 + 6 * 64) * 2 * 2 * 2 * 8 * 4
    assert cache_slots(config_of(folder, "+rollout.generator.max_cache_tokens=200")) == 200


def test_vllm_takes_its_share_while_it_samples_and_holds_it_if_it_does_not_sleep(folder: Path):
    settings = ("trainer=gpu", "rollout=vllm", "rollout.generator.gpu_memory_utilization=0.25")
    parts = estimate(config_of(folder, *settings, *LENGTHS), capacity=2**20)
    assert [(part.size, part.phases) for part in parts[-2:]] == [
        (2 * PARAMETERS, ("sampling",)),
        (2**18 - 2 * PARAMETERS, ("sampling",)),
    ]
    awake = estimate(config_of(folder, *settings, *LENGTHS, "rollout.generator.sleep=false"), capacity=2**20)
    assert {part.phases for part in awake[-2:]} == {PHASES}
    with pytest.raises(UserError, match=r"0\.25 is 0\.0 GiB, and vLLM's weights alone take .*: give it a larger share"):
        estimate(config_of(folder, *settings), capacity=2**17)
    with pytest.raises(UserError, match="takes a share of the device's memory: add --gpu-memory GIB"):
        estimate(config_of(folder, *settings))


def test_a_sharding_strategy_divides_what_is_kept_by_the_devices(folder: Path):
    whole = sizes(estimate(config_of(folder, "trainer=cpu")))
    shards = sizes(estimate(config_of(folder, "trainer=cpu", "trainer.devices=4", "+trainer.strategy=fsdp")))
    for part in ("weights", "reference", "gradients", "optimiser's states"):
        assert shards[part] == whole[part] // 4
    assert shards["activations for the backward pass"] == whole["activations for the backward pass"]


def test_a_divided_model_is_whole_once_for_sampling_and_in_part_during_a_pass(folder: Path):
    settings = ("trainer=fsdp", "trainer.devices=4", "trainer.accelerator=gpu", "trainer.precision=bf16-mixed")
    parts = sizes(estimate(config_of(folder, *settings)))
    # Outside of the two layers: two matrices of the vocabulary and the last norm, in float32.
    outside = 2 * 100 * 32 + 32
    layer = (PARAMETERS - outside) // 2
    assert parts["whole copy to sample from"] == 2 * PARAMETERS
    assert parts["embeddings and projection"] == 4 * outside
    assert parts["two layers"] == 2 * 2 * layer
    assert parts["gradients before they are divided"] == (4 + 4) * outside + (2 + 4) * layer
    assert "weights in bf16-mixed's dtype" not in parts
    # What passes between layers has their dtype.
    rounded = sizes(estimate(config_of(folder, "trainer=gpu", "model.dtype=bfloat16")))
    for part in ("activations for the backward pass", "working memory of a layer"):
        assert parts[part] == rounded[part]
    # Two layers, keys and values, two heads of eight numbers of two bytes, of a prompt and four rows.
    assert parts["keys and values"] == (96 + 4 * 64) * 2 * 2 * 2 * 8 * 2


@pytest.mark.parametrize(
    ("trainer", "shards"),
    [
        ((), 1),
        (("trainer.devices=8", "+trainer.strategy=ddp"), 1),
        (("trainer.devices=8", "+trainer.strategy=fsdp", "++trainer.num_nodes=2"), 16),
        (("trainer.devices=2", "+trainer.strategy._target_=lightning.pytorch.strategies.ModelParallelStrategy"), 2),
    ],
)
def test_only_sharding_strategies_divide(folder: Path, trainer: tuple[str, ...], shards: int):
    assert sharding(config_of(folder, *trainer).trainer) == shards


def test_the_fullest_micro_batch_holds_whole_groups_or_one_row_that_is_longer():
    # A group of a prompt of 100 and 4 rows of 50 is 300 tokens; three of them fit 1000.
    assert fullest_micro_batch(1000, 100, 50, rows=4, tasks=8) == MicroBatch(3, 100, 4, 50)
    assert fullest_micro_batch(1000, 100, 50, rows=4, tasks=2) == MicroBatch(2, 100, 4, 50)
    # 900 tokens are left for 4 rows of up to 400.
    assert fullest_micro_batch(1000, 100, 400, rows=4, tasks=8) == MicroBatch(1, 100, 4, 225)
    assert fullest_micro_batch(300, 100, 400, rows=4, tasks=8) == MicroBatch(1, 100, 1, 400)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["model=hf", "model.path=nowhere/at/all"], "model path nowhere/at/all does not exist: give"),
        (["stage=curriculum"], "stage=curriculum is several stages of different lengths: give one"),
        (["trainer.precision=64-true"], "trainer.precision=64-true is unknown here; choose one of 32-true"),
        (["trainer.devices=2", "+trainer.strategy=deepspeed"], "trainer.strategy=deepspeed is unknown here"),
    ],
)
def test_a_mistake_ends_in_one_sentence(
    settings: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["estimate.py", *settings])
    assert status(main) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said


def test_the_table_sums_phases_and_marks_what_does_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]):
    parts = [MemoryPart("weights", 3 * 2**30), MemoryPart("projection", 2**30, ("projection",))]
    shown = table(parts, "title", capacity=7 * 2**29)
    columns = [list(column.cells) for column in shown.columns]
    assert columns[0][-2:] == ["in all", "of 3.5 GiB"]
    assert columns[1] == ["3.00", "", "3.00", "86%"]
    assert columns[2] == ["3.00", "1.00", "4.00", "114% !"]


@pytest.mark.parametrize("checkpointing", ["true", "false"])
def test_an_update_takes_of_the_allocator_what_is_estimated(folder: Path, tmp_path: Path, checkpointing: str):
    config = config_of(folder, "trainer=cpu", f"model.gradient_checkpointing={checkpointing}")
    parts = estimate(config)
    kept = sum(sizes(parts)[name] for name in ("weights", "reference", "gradients", "optimiser's states"))
    estimated = max(total(parts, phase) for phase in ("projection", "layers")) - kept

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    if checkpointing == "true":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy = Policy(model)
    batch = one_group(micro_batch(config))

    def update() -> None:
        tokens = policy(batch)
        (tokens.logprobs + tokens.entropy).sum().backward()

    # The first one makes the gradients.
    update()
    measured = peak_of(update, tmp_path / "trace.json")
    # The batch itself and a few numbers for each of its tokens are not estimated.
    assert estimated == pytest.approx(measured, rel=0.05)


def one_group(micro: MicroBatch) -> TrainBatch:
    """Every token after the prompt is sampled."""
    mask = (False,) * micro.prompt + (True,) * micro.completion
    tokens = TokenRecord((1,) * len(mask), mask, (0.0,) * len(mask), micro.prompt)
    episode = Trajectory("t", Category.BASE, 1, (ONE_STEP,), EpisodeEnd.TERMINATED, tokens=tokens)
    return TrainBatch.from_trajectories([episode] * micro.rows, [[0.0]] * micro.rows, temperature=1.0)


def peak_of(run: Any, trace: Path) -> int:
    """Bytes that PyTorch's CPU allocator held at most beyond those at the start."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    profiler.export_chrome_trace(str(trace))
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event.get("name") == "[memory]"]
    events.sort(key=lambda event: event["ts"])
    before = events[0]["args"]["Total Allocated"] - events[0]["args"]["Bytes"]
    return max(event["args"]["Total Allocated"] for event in events) - before
