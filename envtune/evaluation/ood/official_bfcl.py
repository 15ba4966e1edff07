"""BFCL V4's memory and web search by BFCL's own program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from envtune.errors import UserError
from envtune.evaluation.official.bfcl_program import OfficialProgram
from envtune.evaluation.official.official_scores import OfficialScore, read_scores
from envtune.evaluation.official.policy_endpoint import PolicyEndpoint
from envtune.evaluation.official.tasks import first_ids
from envtune.evaluation.ood.harness import BenchmarkJob
from envtune.evaluation.ood.record import Part, Results

# The model's name in the program's files.
NAME = "agent"


@dataclass(frozen=True)
class OfficialBFCL:
    """Categories of one family: ``prefix`` and a part's name are BFCL's name of the category.

    The parts of a family ask the same questions, so that a question is one task with a score in each part.
    """

    benchmark: str
    parts: Sequence[str]
    prefix: str
    python: str

    @property
    def source(self) -> str:
        return "bfcl-eval's own files"

    @property
    def user_decoding(self) -> Mapping[str, object] | None:
        return None

    def version(self) -> str:
        return f"bfcl-eval {self._program(Path()).version()}"

    def play(self, job: BenchmarkJob) -> Results:
        """As `Harness.play`. Started again on the same folder, the program plays only what is not there."""
        for name in ("max_tokens", "timeout"):
            if getattr(job, name) is not None:
                raise UserError(
                    f"{name}={getattr(job, name)} is nothing that BFCL's own program can ask for: leave it out"
                )
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
        broken = [
            f"{category}: the endpoint failed"
            for category in categories.values()
            for _ in range(scores[category].broken)
        ]
        return Results({part: _part(scores[category], category) for part, category in categories.items()}, broken)

    def _program(self, folder: Path) -> OfficialProgram:
        return OfficialProgram(Path(self.python), folder, NAME)


def _part(score: OfficialScore, category: str) -> Part:
    # An answer is right if the expected words are somewhere in it, so that long ones have an advantage.
    return Part(
        {name.removeprefix(f"{category}_"): float(passed) for name, passed in score.passed.items()},
        {"answer_characters": fmean(score.answer_lengths)},
    )
