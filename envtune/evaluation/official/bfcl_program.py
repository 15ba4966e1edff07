"""Starts BFCL's own program in the small environment of `make bfcl`, and says what is missing before it starts.

A folder is the program's BFCL_PROJECT_ROOT: it keeps ``result/<name>``, ``score/<name>`` and logs, and whatever
``.env`` the user puts there is read by the program.

The program's executor evaluates the text of calls as Python. What a model says becomes code that runs with the rights
of whoever started it: run untrusted checkpoints in a container.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envtune.errors import UserError
from envtune.evaluation.official.policy_endpoint import NO_KEY, PolicyEndpoint
from envtune.evaluation.official.result_files import check_name
from envtune.evaluation.official.tasks import Ids
from envtune.files.atomic_file import atomic_file

HARNESS = Path(__file__).with_name("bfcl_harness.py")
# What some categories need beside the environment of `make bfcl`, by the module's name.
NEEDS = {"memory_vector": {"sentence_transformers": "sentence-transformers", "faiss": "faiss-cpu"}}
SEARCH_KEY = "SERPAPI_API_KEY"
ASK_VERSION = "from importlib.metadata import version; print(version('bfcl-eval'))"
ASK_MISSING = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"


@dataclass(frozen=True, slots=True)
class OfficialProgram:
    """BFCL's program for one model ``name`` in one ``folder``, run by ``python``."""

    python: Path
    folder: Path
    name: str

    def version(self) -> str:
        """The version of bfcl-eval.

        Raises:
            UserError: the environment is not there, or the name cannot be used.
        """
        check_name(self.name)
        if not os.access(self.python, os.X_OK):
            raise UserError(f"BFCL's own program is not installed at {self.python}: run make bfcl")
        return self._ask(ASK_VERSION)

    def generate(
        self,
        endpoint: PolicyEndpoint,
        categories: Sequence[str],
        ids: Ids | None = None,
        temperature: float = 0.001,
        threads: int = 1,
    ) -> None:
        """Plays ``categories``, or of them only ``ids``. What the folder has already is not played again.

        Raises:
            UserError: the endpoint or something that a category needs is missing, or the program failed.
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
        """Scores every result of the model, and returns the folder of the scores, which take the place of older ones.

        The program adds what it finds in its folder of scores to its tables, so each time it gets an empty one.

        Raises:
            UserError: there are no results, or the program failed.
        """
        self.version()
        if not (self.folder / "result" / self.name).is_dir():
            raise UserError(f"{self.folder} holds no results of {self.name!r}: generate or export them first")
        fresh, kept = self.folder / "score.partial", self.folder / "score"
        shutil.rmtree(fresh, ignore_errors=True)
        categories = ["--test-category", "all", "--partial-eval", "--score-dir", fresh.name]
        self._run(["evaluate", "--model", self.name, *categories], {"OPENAI_API_KEY": NO_KEY}, self.name)
        shutil.rmtree(kept)
        fresh.rename(kept)
        return kept / self.name

    def _require(self, categories: Sequence[str]) -> None:
        for category, packages in NEEDS.items():
            if category in categories and (missing := self._ask(ASK_MISSING, *packages).split()):
                names = " ".join(packages[name] for name in missing)
                raise UserError(f"{category} needs more than make bfcl installs: {self.python} -m pip install {names}")
        if any(category.startswith("web_search") for category in categories) and not self._has_search_key():
            raise UserError(f"web search needs a key of serpapi.com: export it as {SEARCH_KEY}")

    def _has_search_key(self) -> bool:
        settings = self.folder / ".env"
        return SEARCH_KEY in os.environ or (settings.is_file() and SEARCH_KEY in settings.read_text(encoding="utf-8"))

    def _ask(self, question: str, *arguments: str) -> str:
        asked = subprocess.run(
            [self.python, "-I", "-c", question, *arguments], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise UserError(f"the environment of {self.python} is incomplete: run make bfcl again")
        return asked.stdout.strip()

    def _run(
        self, arguments: Sequence[str], variables: Mapping[str, str], served: str, show_progress: bool = False
    ) -> None:
        """One command of the program. What it prints goes to a log, its progress to the terminal if wanted."""
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
            raise UserError(f"BFCL's own program ended with status {done.returncode}: {log} says why")
