"""Play and score a policy with BFCL's own program (bfcl-eval, unmodified): docs/official_bfcl.md.

    make bfcl                                                                    # once: install it
    python tools/official_bfcl.py generate FOLDER --endpoint http://127.0.0.1:8000/v1 --categories multi_turn
    python tools/official_bfcl.py evaluate FOLDER
    python tools/official_bfcl.py export runs/<time> FOLDER                      # envtune's episodes, for `evaluate`

`generate` plays tasks against an OpenAI-compatible endpoint such as tools/serve.py, in BFCL's own loop. `evaluate`
prints BFCL's verdicts and writes FOLDER/scores.json; BFCL's own files are in FOLDER/score. `export` writes the
trajectories of an evaluation in the format of BFCL's program.

BFCL's executor evaluates a model's text as Python code: run untrusted checkpoints in a container.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import envtune.process_start

import rich

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.official.bfcl_program import OfficialProgram
from envtune.bfcl.official.listed_models import NO_KEY
from envtune.bfcl.official.official_scores import official_table, plain_scores, read_scores
from envtune.bfcl.official.policy_endpoint import PolicyEndpoint
from envtune.bfcl.official.result_files import write_results
from envtune.bfcl.official.tasks import categories_of, first_ids, played_ids
from envtune.evaluation.recorded_episodes import newest_file, read_episodes
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program

PYTHON = Path(__file__).parents[1] / ".venv-bfcl" / "bin" / "python"


def main() -> None:
    """Run the subcommand."""
    parser = argparse.ArgumentParser(description="Play and score a policy with BFCL's own program.")
    commands = parser.add_subparsers(required=True, metavar="generate | evaluate | export")

    playing = commands.add_parser("generate", help="play tasks against an endpoint")
    playing.set_defaults(run=generate)
    playing.add_argument("folder", type=Path, help="for all files; a task with a result there is not played again")
    playing.add_argument("--endpoint", required=True, help="an OpenAI-compatible one, such as http://127.0.0.1:8000/v1")
    playing.add_argument("--model", help="the endpoint's name of the model, if it has several")
    playing.add_argument("--categories", default="multi_turn", help="BFCL's, separated by commas (default: multi_turn)")
    some = playing.add_mutually_exclusive_group()
    some.add_argument("--limit", type=_count, help="only the first tasks of each category")
    some.add_argument("--tasks-of", type=Path, help="only the tasks of this run, evaluation or file of trajectories")
    playing.add_argument("--temperature", type=float, default=0.001, help="default: 0.001, the official program's")
    playing.add_argument("--threads", type=_count, default=1, help="tasks at a time (default: 1)")

    scoring = commands.add_parser("evaluate", help="score generated or exported results")
    scoring.set_defaults(run=evaluate)
    scoring.add_argument("folder", type=Path, help="the folder of generate or export")

    writing = commands.add_parser("export", help="write recorded episodes as official results")
    writing.set_defaults(run=export)
    writing.add_argument(
        "trajectories", type=Path, help="the folder of a run or an evaluation, or one of its .jsonl files"
    )
    writing.add_argument("folder", type=Path, help="the folder to write to")

    for command in (playing, scoring, writing):
        command.add_argument(
            "--name", default="envtune", help="the model's name in files and tables (default: envtune)"
        )
    for command in (playing, scoring):
        command.add_argument("--python", type=Path, default=PYTHON, help="the interpreter that make bfcl has installed")
    given = parser.parse_args()
    given.run(given)


def generate(given: argparse.Namespace) -> None:
    """Play tasks with the official program."""
    categories = categories_of(given.categories.split(","))
    ids = None
    if given.tasks_of is not None:
        ids = played_ids(newest_file(given.tasks_of))
    elif given.limit is not None:
        ids = first_ids(categories, given.limit)
    endpoint = PolicyEndpoint(given.endpoint.rstrip("/"), given.model, os.environ.get("OPENAI_API_KEY", NO_KEY))
    program = OfficialProgram(given.python, given.folder, given.name)
    program.generate(endpoint, categories, ids, given.temperature, given.threads)
    print(f"written to {given.folder / 'result' / given.name}")


def evaluate(given: argparse.Namespace) -> None:
    """Score the generated or exported results with the official program."""
    program = OfficialProgram(given.python, given.folder, given.name)
    version = program.version()
    program.evaluate()
    scores = read_scores(given.folder, given.name)
    record = {"bfcl_eval": version, "name": given.name, "categories": plain_scores(scores)}
    with atomic_file(given.folder / "scores.json") as file:
        file.write(json.dumps(record, indent=1) + "\n")
    rich.print(official_table(scores, f"{given.name}, scored by bfcl-eval {version}, with 95% intervals"))


def export(given: argparse.Namespace) -> None:
    """Write recorded episodes as results of the official program."""
    trajectories = [episode.trajectory for episode in read_episodes(newest_file(given.trajectories))]
    tasks = {task.id: task for task in load_bfcl_tasks()}
    for file, count in write_results(given.folder, given.name, trajectories, tasks).items():
        print(f"{file}: {count} tasks")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be 1 or more")
    return value


if __name__ == "__main__":
    run_program(main)
