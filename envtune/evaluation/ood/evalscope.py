"""ACEBench and tau2-bench by evalscope, as a program of its own environment."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envtune.errors import UserError
from envtune.evaluation.ood.evalscope_results import read_evalscope
from envtune.evaluation.ood.harness import NO_KEY, BenchmarkJob
from envtune.evaluation.ood.record import Results
from envtune.files.atomic_file import atomic_file

log = logging.getLogger(__name__)

VERSION = "1.14.1"
PROGRAM = Path(__file__).with_name("evalscope_program.py")
# The name of the agent's folder in what evalscope writes.
MODEL_ID = "agent"
ASK_VERSIONS = (
    "import importlib.metadata as m, json, sys\n"
    "found = {(d.metadata['Name'] or '').lower(): d.version for d in m.distributions()}\n"
    "print(json.dumps([found.get(name) for name in sys.argv[1:]]))"
)


@dataclass(frozen=True)
class Evalscope:
    """One of evalscope's benchmarks.

    ``dataset`` is evalscope's name of it, and ``subset_prefix`` and a part's name are evalscope's name of the part.
    ``needs`` are packages beside evalscope, with the command that installs them. ``local_path`` is a folder with the
    tasks, None for evalscope's hub. ``extra_params`` are the adapter's own settings, with the simulated user's endpoint
    if there is one; ``user_decoding`` as in `Harness`.
    """

    benchmark: str
    dataset: str
    parts: Sequence[str]
    subset_prefix: str
    python: str
    local_path: str | None
    user_decoding: Mapping[str, Any] | None
    extra_params: Mapping[str, Any]
    needs: Mapping[str, str]

    @property
    def subsets(self) -> dict[str, str]:
        """Evalscope's name by the part's."""
        return {part: self.subset_prefix + part for part in self.parts}

    @property
    def source(self) -> str:
        return self.local_path or f"evalscope's hub: {self.dataset}"

    def version(self) -> str:
        if not os.access(self.python, os.X_OK):
            raise UserError(
                f"{self.dataset} is played by evalscope, which is not at python={self.python}: run make ood"
            )
        names = ("evalscope", *self.needs)
        asked = subprocess.run([self.python, "-c", ASK_VERSIONS, *names], capture_output=True, text=True, check=False)
        if asked.returncode:
            raise UserError(f"python={self.python} is no Python that runs ({_last_line(asked.stderr)}): run make ood")
        found = dict(zip(names, json.loads(asked.stdout), strict=True))
        if found["evalscope"] != VERSION:
            raise UserError(
                f"python={self.python} has evalscope {found['evalscope']} instead of {VERSION}: run make ood"
            )
        for name, install in self.needs.items():
            if found[name] is None:
                raise UserError(f"{self.dataset} needs {name} in the environment of {self.python}: {install}")
        return ", ".join(f"{name} {version}" for name, version in found.items())

    def play(self, job: BenchmarkJob) -> Results:
        """As `Harness.play`. Started again on the same folder, evalscope plays only what it has not finished."""
        if self.local_path is not None and not Path(self.local_path).is_dir():
            raise UserError(f"ood.local_path={self.local_path} is no folder: docs/evaluation.md says what it must hold")
        work = job.folder.resolve() / "evalscope"
        settings = job.folder / "evalscope_settings.json"
        with atomic_file(settings) as file:
            file.write(json.dumps(self.settings(job, work), indent=1) + "\n")
        keys = {"OOD_AGENT_KEY": job.agent.key, "EVALSCOPE_API_KEY": job.user.key if job.user else NO_KEY}
        said = job.folder / "evalscope.log"
        log.info("evalscope plays, and tells its progress in %s", said)
        with said.open("a", encoding="utf-8") as output:
            command = [self.python, "-I", str(PROGRAM), str(settings)]
            done = subprocess.run(command, env=os.environ | keys, stdout=output, stderr=output, check=False)
        if done.returncode:
            reason = _last_line(said.read_text(encoding="utf-8"))
            raise UserError(
                f"evalscope ended with status {done.returncode} ({reason}): {said} says more; what it has played is "
                f"kept, go on with hydra.run.dir={job.folder}"
            )
        return read_evalscope(work, MODEL_ID, self.dataset, self.subsets)

    def settings(self, job: BenchmarkJob, work: Path) -> dict[str, Any]:
        """The arguments of evalscope's TaskConfig, without keys."""
        return {
            "model": job.agent.model,
            "model_id": MODEL_ID,
            "api_url": job.agent.url,
            "eval_type": "openai_api",
            "generation_config": {
                "temperature": job.temperature,
                "max_tokens": job.max_tokens,
                "timeout": job.timeout,
            },
            "datasets": [self.dataset],
            "dataset_args": {self.dataset: self._dataset_settings()},
            "eval_batch_size": job.concurrency,
            "limit": job.limit,
            "repeats": job.episodes_per_task,
            "work_dir": str(work),
            "no_timestamp": True,
            "use_cache": str(work) if (work / "configs" / "task_config.yaml").exists() else None,
        }

    def _dataset_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"subset_list": [*self.subsets.values()], "extra_params": dict(self.extra_params)}
        return settings | ({"local_path": str(Path(self.local_path).resolve())} if self.local_path else {})


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
