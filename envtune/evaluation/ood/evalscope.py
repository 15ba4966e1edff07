"""ACEBench and tau2-bench, played by evalscope in an environment of its own, and scores from its review files.

evalscope itself is not imported.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import override

from envtune.bfcl.official.listed_models import NO_KEY
from envtune.errors import UserError
from envtune.evaluation.ood.harness import BenchmarkJob, Harness
from envtune.evaluation.ood.record import Part, Results
from envtune.files.atomic_file import atomic_file

log = logging.getLogger(__name__)

VERSION = "1.14.1"
PROGRAM = Path(__file__).with_name("evalscope_program.py")
# The name of the agent's folder in evalscope's output.
MODEL_ID = "agent"
PRINT_VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "found = {(d.metadata['Name'] or '').lower(): d.version for d in m.distributions()}\n"
    "print(json.dumps([found.get(name) for name in sys.argv[1:]]))"
)


@dataclass(frozen=True)
class Evalscope(Harness):
    """One of evalscope's benchmarks."""

    benchmark: str
    dataset: str
    """Evalscope's name of the benchmark."""
    parts: Sequence[str]
    subset_prefix: str
    """Evalscope's name of a part is the prefix and the part."""
    python: str
    local_path: str | None
    """A folder with the tasks; None for evalscope's hub."""
    user_decoding: Mapping[str, Any] | None
    extra_params: Mapping[str, Any]
    """Settings of evalscope's adapter, including the endpoint of a simulated user."""
    needs: Mapping[str, str]
    """Required packages beside evalscope, each with the command that installs it."""

    @property
    def subsets(self) -> dict[str, str]:
        """Evalscope's names of the parts, by part."""
        return {part: self.subset_prefix + part for part in self.parts}

    @property
    @override
    def source(self) -> str:
        return self.local_path or f"evalscope's hub: {self.dataset}"

    @override
    def version(self) -> str:
        if not os.access(self.python, os.X_OK):
            raise UserError(
                f"{self.dataset} is played by evalscope, which is not installed at python={self.python}: run make ood"
            )
        names = ("evalscope", *self.needs)
        asked = subprocess.run([self.python, "-c", PRINT_VERSIONS, *names], capture_output=True, text=True, check=False)
        if asked.returncode:
            raise UserError(f"python={self.python} does not run ({_last_line(asked.stderr)}): run make ood")
        found = dict(zip(names, json.loads(asked.stdout), strict=True))
        if found["evalscope"] != VERSION:
            raise UserError(
                f"python={self.python} has evalscope {found['evalscope']} instead of {VERSION}: run make ood"
            )
        for name, install in self.needs.items():
            if found[name] is None:
                raise UserError(f"{self.dataset} needs {name} in the environment of {self.python}: {install}")
        return ", ".join(f"{name} {version}" for name, version in found.items())

    @override
    def play(self, job: BenchmarkJob) -> Results:
        if self.local_path is not None and not Path(self.local_path).is_dir():
            raise UserError(f"ood.local_path={self.local_path} is not a folder: see docs/evaluation.md for its content")
        work = job.folder.resolve() / "evalscope"
        settings = job.folder / "evalscope_settings.json"
        with atomic_file(settings) as file:
            file.write(json.dumps(self.settings(job, work), indent=1) + "\n")
        keys = {"OOD_AGENT_KEY": job.agent.key, "EVALSCOPE_API_KEY": job.user.key if job.user else NO_KEY}
        log_file = job.folder / "evalscope.log"
        log.info("evalscope plays; its progress is in %s", log_file)
        with log_file.open("a", encoding="utf-8") as output:
            command = [self.python, "-I", str(PROGRAM), str(settings)]
            done = subprocess.run(command, env=os.environ | keys, stdout=output, stderr=output, check=False)
        if done.returncode:
            reason = _last_line(log_file.read_text(encoding="utf-8"))
            raise UserError(
                f"evalscope ended with status {done.returncode} ({reason}), see {log_file}: finished episodes are "
                f"kept, continue with hydra.run.dir={job.folder}"
            )
        return read_evalscope(work, MODEL_ID, self.dataset, self.subsets)

    def settings(self, job: BenchmarkJob, work: Path) -> dict[str, Any]:
        """Return the arguments of evalscope's TaskConfig, without API keys."""
        tasks: dict[str, Any] = {"subset_list": [*self.subsets.values()], "extra_params": dict(self.extra_params)}
        if self.local_path:
            tasks["local_path"] = str(Path(self.local_path).resolve())
        return {
            "model": job.agent.model,
            "model_id": MODEL_ID,
            "api_url": job.agent.url,
            "eval_type": "openai_api",
            "generation_config": {"temperature": job.temperature, "max_tokens": job.max_tokens, "timeout": job.timeout},
            "datasets": [self.dataset],
            "dataset_args": {self.dataset: tasks},
            "eval_batch_size": job.concurrency,
            "limit": job.limit,
            "repeats": job.episodes_per_task,
            "work_dir": str(work),
            "no_timestamp": True,
            "use_cache": str(work) if (work / "configs" / "task_config.yaml").exists() else None,
        }


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def read_evalscope(work_folder: Path, model_id: str, dataset: str, subsets: Mapping[str, str]) -> Results:
    """Return the scores in evalscope's reviews, which have one JSON line per episode.

    An episode that broke off has evalscope's score of 0 and is also listed as broken.

    Args:
        work_folder: evalscope's ``work_dir``.
        model_id: evalscope's name of the agent.
        dataset: evalscope's name of the benchmark.
        subsets: evalscope's names of the parts, by part.

    Raises:
        UserError: a part was not scored, or a file is not in the format of evalscope 1.14.
    """
    parts: dict[str, Part] = {}
    broken: list[str] = []
    for name, subset in subsets.items():
        path = work_folder / "reviews" / model_id / f"{dataset}_{subset}.jsonl"
        reviews = _reviews(path)
        scores: dict[str, list[float]] = defaultdict(list)
        milestones: list[float] = []
        try:
            for review in reviews:
                task = f"{subset}/{review['sample_metadata']['id']}"
                value = review["score"]["value"]
                scores[task].append(float(value["acc"]))
                if "process_acc" in value:
                    milestones.append(float(value["process_acc"]))
                reason = _broken(review)
                if reason:
                    broken.append(f"{task}: {reason}")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is not in the format of evalscope 1.14 ({error!r}): use that version") from None
        beside = {"milestones": fmean(milestones)} if milestones else {}
        parts[name] = Part({task: fmean(values) for task, values in scores.items()}, beside)
    return Results(parts, broken)


def _reviews(path: Path) -> list[dict[str, Any]]:
    """Return the episodes; of an episode that was scored again, the last review."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        reviews = {review["index"]: review["sample_score"] for review in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}): evalscope has not scored this part") from None
    if not reviews:
        raise UserError(f"{path} is empty: evalscope has not scored this part")
    return list(reviews.values())


def _broken(review: Mapping[str, Any]) -> str | None:
    """Return the reason why the harness could not finish the episode; None if it did, whatever the agent did."""
    if "rollout_error" in review["sample_metadata"]:
        return str(review["sample_metadata"]["rollout_error"])
    # A list of differences in ACEBench, the exception of a failed verdict in tau2-bench.
    error = (review["score"]["metadata"] or {}).get("error")
    return error if isinstance(error, str) else None
