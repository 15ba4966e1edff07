"""A program in the place of the Python that has evalscope: tells versions, and writes reviews instead of playing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path

if "-c" in sys.argv:
    versions = {versions}
    print(json.dumps([versions.get(name) for name in sys.argv[sys.argv.index("-c") + 2 :]]))
    sys.exit()
settings = json.loads(Path(sys.argv[-1]).read_text())
asked = dict(settings, keys=[os.environ["OOD_AGENT_KEY"], os.environ["EVALSCOPE_API_KEY"]])
Path({asked}).write_text(json.dumps(asked))
if {fails}:
    sys.exit("ValueError: the data set is not there")
reviews = Path(settings["work_dir"]) / "reviews" / settings["model_id"]
reviews.mkdir(parents=True, exist_ok=True)
for name, text in {reviews}.items():
    (reviews / (name + ".jsonl")).write_text(text)
"""


def fake_evalscope(
    folder: Path, reviews: dict[str, list[str]], fails: bool = False, versions: dict[str, str] | None = None
) -> Path:
    """The program, executable. What it is asked for when it plays, with the keys, is in `asked.json` beside it."""
    texts = {name: "".join(f"{line}\n" for line in lines) for name, lines in reviews.items()}
    path = folder / "python"
    path.write_text(
        PROGRAM.format(
            python=sys.executable,
            versions=versions or {"evalscope": "1.14.1"},
            asked=repr(str(folder / "asked.json")),
            fails=fails,
            reviews=texts,
        ),
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def asked_for(folder: Path) -> dict[str, object]:
    """What the program was asked for."""
    return dict(json.loads((folder / "asked.json").read_text(encoding="utf-8")))
