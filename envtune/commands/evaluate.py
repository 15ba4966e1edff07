"""Evaluate a policy on a split: `envtune-evaluate init_from=runs/…/checkpoints/best.ckpt`.

Prints success and progress by category with 95% intervals, of all tasks (raw) and without those listed as defective
(audited, docs/audit.md), and what went wrong in the turns (docs/diagnosis.md). The run folder receives scores.json,
trajectories.jsonl (for tools/show_trajectory.py and tools/diagnose.py), run.json and, in .hydra, the composed config,
with which the evaluation can be repeated.

In a clone `python tools/evaluate.py` is the same command.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import envtune.process_start

import rich
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from envtune import trajectory_file
from envtune.chat.trained_conversation import differences_from_own
from envtune.checked import Among, checked
from envtune.command_line.command import command
from envtune.command_line.composed_config import require_component
from envtune.environment.interface import AuditedSource
from envtune.errors import UserError
from envtune.evaluation.plan import Plan
from envtune.evaluation.scores import Score, audited_scores, scores_by_group, scores_table
from envtune.evaluation.turn_labels import groups_table, shares_by_group
from envtune.files.atomic_file import atomic_file
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.statistics.intervals import LEVEL, METHODS
from envtune.task import Split
from envtune.training.reporting.library_logging import silence_libraries
from envtune.training.reporting.report import config_tree, show
from envtune.training.run_folder.run_record import read_run_record, write_run_record
from envtune.training.run_folder.starting_point import find_checkpoint
from envtune.training.run_folder.trained_protocol import require_protocol_of_the_policy
from envtune.trajectory import Trajectory

log = logging.getLogger("evaluate")
LOG_EVERY = 50  # episodes


def require_sound_evaluation(config: DictConfig) -> None:
    """Validate the settings of the evaluation itself and of the machine; components validate their own.

    Raises:
        UserError: A setting is not allowed, or this machine cannot satisfy it.
    """
    settings: Any = OmegaConf.to_container(config, resolve=True)
    for name in ("data", "rollout", "model", "protocol"):
        require_component(config[name], name)
    Plan(settings["greedy"], settings["samples"], settings["seed"])
    _require_sound(**{name: settings[name] for name in ("split", "device", "init_from", "tags", "run_folder")})
    overrides = HydraConfig.get().overrides.task
    if settings["init_from"] is not None:
        require_environment_of_the_run(settings, overrides)
    require_protocol_of_the_policy(settings, overrides)


def require_environment_of_the_run(settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Require a choice of the environment where the default is not the one that the policy was trained in.

    Raises:
        UserError: the run of ``init_from`` has another environment, and ``overrides`` choose none.
    """
    run = find_checkpoint(settings["init_from"]).parent.parent
    record: Any = read_run_record(run, "give a .ckpt file of another run") or {}
    trained: Any = (record.get("settings") or {}).get("environment")
    if not trained or any(override.startswith("environment=") for override in overrides):
        return
    names = ("_target_", "module", "factory")
    if [trained.get(name) for name in names] != [settings["environment"].get(name) for name in names]:
        own = next((f" environment.{name}={trained[name]}" for name in names[1:] if trained.get(name)), "")
        kind = "trl" if "factory" in trained else "module" if "module" in trained else "NAME"
        raise UserError(
            f"init_from={settings['init_from']} was trained in another environment: add environment={kind}{own}, or "
            "environment=bfcl to play BFCL with it"
        )


@checked
def _require_sound(
    split: Annotated[str, Among(Split)], device: str, init_from: str | None, tags: Sequence[str | int], run_folder: str
) -> None:
    _device(device)
    if init_from is not None:
        find_checkpoint(init_from)


@command("evaluate", require_sound_evaluation)
def evaluate(config: DictConfig) -> None:
    """Play the split, and write and print the scores."""
    silence_libraries()
    rich.print(config_tree(OmegaConf.to_container(config, resolve=True)))  # type: ignore[arg-type]
    rich.print(f"run folder: {config.run_folder}")
    plan = Plan(config.greedy, config.samples, config.seed)
    source = instantiate(config.data, _convert_="all")
    requests = plan.requests(source.tasks(config.split))
    if not requests:
        raise UserError(f"split={config.split} has no tasks: choose another split or a larger data.val_size")
    collector = _collector(config)
    write_run_record(config.run_folder, source.describe(), list(config.tags), template=collector.template.pieces)
    show(*differences_from_own(collector.template))
    started = time.perf_counter()
    trajectories = _play(plan, collector, requests)
    seconds = time.perf_counter() - started

    left_out = source.left_out() if isinstance(source, AuditedSource) else frozenset()
    scores, audited = scores_by_group(trajectories), audited_scores(trajectories, left_out)
    labels, folder = shares_by_group(trajectories), Path(config.run_folder)
    trajectory_file.write(folder / "trajectories.jsonl", map(trajectory_file.to_json, trajectories))
    with atomic_file(folder / "scores.json") as file:
        file.write(json.dumps(_record(config, scores, audited, seconds) | {"diagnosis": labels}, indent=2) + "\n")
    rich.print(scores_table(scores, audited, f"{config.split} split, with 95% intervals"))
    rich.print(groups_table(labels, "labels of turns, % of turns"))
    rich.print(f"{len(trajectories)} episodes in {seconds:.1f} s, written to {folder}")


def _collector(config: DictConfig) -> Collector:
    """Return the collector with the policy's weights in its generator."""
    device = _device(config.device)
    collector = instantiate(config.rollout, _convert_="all")
    model = instantiate(config.model, _convert_="all").to(device)
    collector.check_model(model)
    collector.generator.update_weights(model, policy_version=0)
    return collector


def _device(name: str) -> torch.device:
    """Return the device; raise UserError if it is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"device={name} cannot be used here ({reason}): choose auto, cpu, cuda or cuda:1") from error
    return device


def _play(plan: Plan, collector: Collector, requests: Sequence[EpisodeRequest]) -> list[Trajectory]:
    """Play all episodes, with a progress bar in a terminal and a line per `LOG_EVERY` episodes in a log."""
    console = rich.get_console()
    numbers = TextColumn("{task.fields[numbers]}")
    columns = (TextColumn("episodes"), MofNCompleteColumn(), BarColumn(), numbers)
    successes: list[bool] = []
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        shown = bar.add_task("", total=len(requests), numbers="")

        def show(trajectory: Trajectory) -> None:
            successes.append(trajectory.success)
            success = sum(successes) / len(successes)
            bar.update(shown, completed=len(successes), numbers=f"success {success:.1%}")
            if not console.is_terminal and (len(successes) % LOG_EVERY == 0 or len(successes) == len(requests)):
                log.info("%d/%d episodes  success %.1f%%", len(successes), len(requests), 100 * success)

        return plan.play(collector, requests, show)


def _record(
    config: DictConfig, scores: Mapping[str, Score], audited: Mapping[str, Score], seconds: float
) -> dict[str, Any]:
    """Return the content of scores.json. ``seconds`` is the time of playing, without that of loading the model."""
    return {
        "model": {"path": config.model.path, "checkpoint": config.init_from and str(find_checkpoint(config.init_from))},
        **{name: config[name] for name in ("split", "greedy", "samples", "seed")},
        "seconds": round(seconds, 3),
        "intervals": {"level": LEVEL, **METHODS},
        "scores": {name: asdict(score) for name, score in scores.items()},
        "audited_scores": {name: asdict(score) for name, score in audited.items()},
    }
