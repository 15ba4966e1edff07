"""Score a checkpoint out of distribution with a third-party harness: docs/evaluation.md.

    python tools/ood.py ood=acebench name=stage-4 agent.url=http://127.0.0.1:8000/v1 agent.model=agent \
        user.url=https://… user.model=… user.key_variable=USER_KEY

The checkpoint is the policy served at agent.url (tools/serve.py). Writes runs/ood/<name>/<benchmark>.json, and table.md
and table.csv of all benchmarks of this checkpoint. tools/ood_compare.py compares checkpoints.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import envtune.process_start

import rich
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from envtune.checked import checked
from envtune.command_line.command import command
from envtune.command_line.composed_config import require_component
from envtune.errors import UserError
from envtune.evaluation.ood import table
from envtune.evaluation.ood.harness import BenchmarkJob, ChatEndpoint, Harness
from envtune.evaluation.ood.record import AgentEndpoint, OODRecord, Results, read_records, write_record
from envtune.files.atomic_file import atomic_file
from envtune.training.reporting.report import config_tree

Settings = Mapping[str, Any]

log = logging.getLogger("ood")


def require_sound_benchmark(config: DictConfig) -> None:
    """Raise UserError for a setting that is not allowed or that contradicts another."""
    settings: Any = OmegaConf.to_container(config, resolve=True)
    require_component(config.ood, "ood")
    _require_sound(
        **{name: settings[name] for name in ("name", "agent", "user", "count_broken", "results", "run_folder")}
    )
    _require_user(_choice(), instantiate(config.ood, _convert_="all"), _job(config))


@checked
def _require_sound(
    name: str | int, agent: Settings, user: Settings, count_broken: bool, results: str, run_folder: str
) -> None:
    if not re.fullmatch(r"\w[\w.+-]*", str(name)):
        raise UserError(
            f"name={name} is the name of a folder and a row: begin with a letter or digit, and use these and . _ + -"
        )


@command("ood", require_sound_benchmark, repeats=True)
def ood(config: DictConfig) -> None:
    """Play the benchmark, and write its record and the tables of the checkpoint."""
    rich.print(config_tree(OmegaConf.to_container(config, resolve=True)))  # type: ignore[arg-type]
    rich.print(f"run folder: {config.run_folder}")
    name = str(config.name)
    harness = instantiate(config.ood, _convert_="all")
    job = _job(config)
    version = harness.version()
    for endpoint in filter(None, (job.agent, job.user)):
        endpoint.require()
    started = time.perf_counter()
    results = harness.play(job)
    _require_whole(results, config.count_broken, job.folder)
    record = _record(name, harness, version, job, results, time.perf_counter() - started)
    folder = Path(config.results) / name
    path = write_record(folder, record)
    rich.print(f"written to {path}")
    write_tables(folder)


def write_tables(folder: Path) -> None:
    """Write table.md and table.csv of all benchmarks of the checkpoint in ``folder``, and print the first."""
    records = read_records(folder)
    checkpoint = {records[0].checkpoint: records}
    parts = [table.score_table(checkpoint), table.detail_table(records), table.interval_note()]
    text = "\n\n".join([*parts, *table.warnings(checkpoint)]) + "\n"
    for name, content in (("table.md", text), ("table.csv", table.as_csv(checkpoint))):
        with atomic_file(folder / name) as file:
            file.write(content)
    print(text)


def _job(config: DictConfig) -> BenchmarkJob:
    """Return the job of the settings; raise UserError if they are not valid."""
    settings: Any = OmegaConf.to_container(config, resolve=True)
    agent, user = settings["agent"], settings["user"]
    if (user["url"] is None) != (user["model"] is None):
        raise UserError("user.url and user.model belong together: give both or none")
    return BenchmarkJob(
        agent=ChatEndpoint(agent["url"], agent["model"], agent["key_variable"]),
        temperature=agent["temperature"],
        max_tokens=agent["max_tokens"],
        user=None if user["url"] is None else ChatEndpoint(**user),
        **{name: settings[name] for name in ("episodes_per_task", "limit", "concurrency", "timeout")},
        folder=Path(config.run_folder),
    )


def _require_user(choice: str, harness: Harness, job: BenchmarkJob) -> None:
    if harness.user_decoding is not None and job.user is None:
        raise UserError(
            f"ood={choice} plays against a simulated user: give the endpoint that plays it, user.url=… user.model=…"
        )
    if harness.user_decoding is None and job.user:
        raise UserError(f"ood={choice} has no simulated user: leave user.url and user.model out")


def _require_whole(results: Results, count_broken: bool, folder: Path) -> None:
    """Raise UserError if episodes broke off, which is not the agent's failure, unless they should count as failed."""
    if not results.broken:
        return
    count, first = len(results.broken), results.broken[0]
    if not count_broken:
        raise UserError(
            f"{count} of the episodes broke off ({first}), so nothing is recorded: repair the cause and play again in "
            f"a new folder, or count them as failed with count_broken=true hydra.run.dir={folder}"
        )
    log.warning("%d of the episodes broke off, counted as failed; the first: %s", count, first)


def _record(
    name: str, harness: Harness, version: str, job: BenchmarkJob, results: Results, seconds: float
) -> OODRecord:
    """Return the record. ``seconds`` is the duration of this call; of a resumed run, only of its last part."""
    decoding = {"temperature": job.temperature} | ({} if job.max_tokens is None else {"max_tokens": job.max_tokens})
    user = None if job.user is None else AgentEndpoint(job.user.url, job.user.model, harness.user_decoding or {})
    return OODRecord(
        checkpoint=name,
        choice=_choice(),
        benchmark=harness.benchmark,
        harness=version,
        data=harness.source,
        agent=AgentEndpoint(job.agent.url, job.agent.model, decoding),
        user=user,
        episodes_per_task=job.episodes_per_task,
        limit=job.limit,
        broken=len(results.broken),
        seconds=round(seconds, 3),
        parts=results.parts,
    )


def _choice() -> str:
    return str(HydraConfig.get().runtime.choices["ood"])


if __name__ == "__main__":
    ood()
