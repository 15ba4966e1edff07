"""BFCL V4's memory and web search, played by BFCL's own program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import override

from envtune.bfcl.official.bfcl_program import OfficialProgram
from envtune.bfcl.official.official_scores import read_scores
from envtune.bfcl.official.policy_endpoint import PolicyEndpoint
from envtune.bfcl.official.tasks import first_ids
from envtune.errors import UserError
from envtune.evaluation.ood.harness import BenchmarkJob, Harness
from envtune.evaluation.ood.record import Part, Results

# The model's name in the program's files.
NAME = "agent"


@dataclass(frozen=True)
class OfficialBFCL(Harness):
    """Categories of one family, whose questions are equal: a question is one task with a score in each part."""

    benchmark: str
    parts: Sequence[str]
    prefix: str
    """BFCL's name of a category is the prefix and the part."""
    python: str

    @property
    @override
    def source(self) -> str:
        return "bfcl-eval's own files"

    @property
    def user_decoding(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """None: there is no simulated user."""
        return None

    @override
    def version(self) -> str:
        return f"bfcl-eval {self._program(Path()).version()}"

    @override
    def play(self, job: BenchmarkJob) -> Results:
        for name in ("max_tokens", "timeout"):
            if getattr(job, name) is not None:
                raise UserError(f"{name}={getattr(job, name)} is not a setting of BFCL's own program: leave it out")
        if job.episodes_per_task > 1:
            raise UserError(
                f"episodes_per_task={job.episodes_per_task}: BFCL's own program plays a task once, leave it out"
            )
        categories = {part: self.prefix + part for part in self.parts}
        ids = None if job.limit is None else first_ids(categories.values(), job.limit)
        program = self._program(job.folder / "bfcl")
        endpoint = PolicyEndpoint(job.agent.url, job.agent.model, job.agent.key)
        program.generate(endpoint, [*categories.values()], ids, job.temperature, job.concurrency)
        program.evaluate()
        scores = read_scores(program.folder, NAME)
        broken = [f"{name}: the endpoint failed" for name in categories.values() for _ in range(scores[name].broken)]
        parts = {}
        for part, category in categories.items():
            score = scores[category]
            verdicts = {name.removeprefix(f"{category}_"): float(passed) for name, passed in score.passed.items()}
            # An answer passes if it contains the expected words, which long answers do more often.
            parts[part] = Part(verdicts, {"answer_characters": fmean(score.answer_lengths)})
        return Results(parts, broken)

    def _program(self, folder: Path) -> OfficialProgram:
        return OfficialProgram(Path(self.python), folder, NAME)
