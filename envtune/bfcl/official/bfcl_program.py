"""BFCL's own program as a child process, in the small environment of `make bfcl`.

A folder is the program's BFCL_PROJECT_ROOT, with ``result/<name>``, ``score/<name>``, logs, and the user's ``.env``,
which the program reads.

The program evaluates the text of calls as Python, with the rights of the user: run untrusted checkpoints in a
container.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envtune.bfcl.official.listed_models import NO_KEY
from envtune.bfcl.official.policy_endpoint import PolicyEndpoint
from envtune.bfcl.official.result_files import check_name
from envtune.bfcl.official.tasks import Ids
from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file

HARNESS = Path(__file__).with_name("bfcl_harness.py")
# Packages that a category needs beside the environment of `make bfcl`, by the module's name.
NEEDS = {"memory_vector": {"sentence_transformers": "sentence-transformers", "faiss": "faiss-cpu"}}
SEARCH_KEY = "SERPAPI_API_KEY"
PRINT_VERSION = "from importlib.metadata import version; print(version('bfcl-eval'))"
PRINT_MISSING = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"


@dataclass(frozen=True, slots=True)
class OfficialProgram:
    """BFCL's program for one model."""

    python: Path
    """The interpreter of `make bfcl`."""
    folder: Path
    name: str
    """The name of the model in files."""

    def version(self) -> str:
        """Return the version of bfcl-eval.

        Raises:
            UserError: the environment is not installed, or the name is not allowed.
        """
        check_name(self.name)
        if not os.access(self.python, os.X_OK):
            raise UserError(f"BFCL's own program is not installed at {self.python}: run make bfcl")
        return self._output(PRINT_VERSION)

    def generate(
        self,
        endpoint: PolicyEndpoint,
        categories: Sequence[str],
        ids: Ids | None = None,
        temperature: float = 0.001,
        threads: int = 1,
    ) -> None:
        """Play the tasks of the categories, or those of ``ids``; tasks with a result in the folder are skipped.

        Raises:
            UserError: the endpoint or a requirement of a category is missing, or the program failed.
        """
        self.version()
        self._require(categories)
        served = endpoint.served_model()
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--test-category", ",".join(categories)]
        if ids is not None:
            with atomic_file(self.folder / "test_case_ids_to_generate.json") as file:
                file.write(json.dumps({category: ids.get(category, []) for category in categories}, indent=1) + "\n")
            arguments.append("--run-ids")
        arguments += ["--temperature", str(temperature), "--num-threads", str(threads)]
        self._run(
            ["generate", "--model", self.name, *arguments],
            {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": endpoint.key},
            served,
            show_progress=True,
        )

    def evaluate(self) -> Path:
        """Score all results of the model and return the folder of the scores; earlier scores are replaced.

        Raises:
            UserError: there are no results, or the program failed.
        """
        self.version()
        if not (self.folder / "result" / self.name).is_dir():
            raise UserError(f"{self.folder} has no results of {self.name!r}: generate or export them first")
        # The program adds all scores in its folder to its tables: it starts with an empty one.
        fresh, kept = self.folder / "score.partial", self.folder / "score"
        shutil.rmtree(fresh, ignore_errors=True)
        categories = ["--test-category", "all", "--partial-eval", "--score-dir", fresh.name]
        self._run(["evaluate", "--model", self.name, *categories], {"OPENAI_API_KEY": NO_KEY}, self.name)
        shutil.rmtree(kept)
        fresh.rename(kept)
        return kept / self.name

    def _require(self, categories: Sequence[str]) -> None:
        for category, packages in NEEDS.items():
            if category in categories and (missing := self._output(PRINT_MISSING, *packages).split()):
                names = " ".join(packages[name] for name in missing)
                raise UserError(f"{category} needs more than make bfcl installs: {self.python} -m pip install {names}")
        settings = self.folder / ".env"
        has_key = SEARCH_KEY in os.environ or (
            settings.is_file() and SEARCH_KEY in settings.read_text(encoding="utf-8")
        )
        if any(category.startswith("web_search") for category in categories) and not has_key:
            raise UserError(f"web search needs a key of serpapi.com: export it as {SEARCH_KEY}")

    def _output(self, code: str, *arguments: str) -> str:
        done = subprocess.run([self.python, "-I", "-c", code, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"the environment of {self.python} is incomplete: run make bfcl again")
        return done.stdout.strip()

    def _run(
        self, arguments: Sequence[str], variables: Mapping[str, str], served: str, show_progress: bool = False
    ) -> None:
        """Run a command of the program. Its output goes to a log, its progress to the terminal if requested."""
        log = self.folder / f"{arguments[0]}.log"
        environment = {**os.environ, "BFCL_PROJECT_ROOT": str(self.folder.resolve()), **variables}
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                [self.python, "-I", "-u", HARNESS, self.name, served, *arguments],
                env=environment,
                stdout=output,
                stderr=None if show_progress else output,
                check=False,
            )
        if done.returncode:
            raise UserError(f"BFCL's own program ended with status {done.returncode}: its output is in {log}")
