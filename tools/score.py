"""Score recorded calls of BFCL's multi-turn tasks, without a model.

    python tools/score.py INPUT.jsonl OUTPUT.jsonl

Input, one JSON object per line: {"id": "multi_turn_base_0", "decoded": [turn][step][call string]}; further keys are
ignored. Output, in the order of the input: {"id", "success", "turns": [{"state", "response", "called", "passed",
"passed_officially"}, …]}, with all turns of the task. "passed" is the method's rule: state and results match, or no
call where none is due. "passed_officially" is BFCL's rule: a call, with matching state and results, or anything where
no call is due. "success" is BFCL's verdict: all turns passed officially, and the record has as many turns as the task.
A turn without a record counts as a turn without a call. As in BFCL's executor, withheld tools can be called from the
start. A call string that cannot be parsed is a failed call.

The output is written after all lines are scored, or not at all. Prints the share of successes of all records (raw) and
of those whose task is not on the list of defective tasks (audited, docs/audit.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import envtune.process_start

from envtune.bfcl.audit.shipped_list import listed_tasks
from envtune.bfcl.recorded_calls import score_file
from envtune.program import run_program


def main() -> None:
    """Score a file of recorded calls and print the shares of successes."""
    parser = argparse.ArgumentParser(description="Score recorded calls of BFCL's multi-turn tasks, without a model.")
    parser.add_argument("input", type=Path, help="JSON lines with 'id' and 'decoded': [turn][step][call string]")
    parser.add_argument("output", type=Path, help="JSON lines with 'id', 'success' and 'turns'; replaced if it exists")
    paths = parser.parse_args()
    successes, listed = score_file(paths.input, paths.output), listed_tasks()
    raw, audited = ([won for name, won in successes if name not in omitted] for omitted in ((), listed))
    print(f"success: raw {_share(raw)}, audited {_share(audited)}")


def _share(successes: Sequence[bool]) -> str:
    if not successes:
        return "- of 0 records"
    return f"{sum(successes) / len(successes):.1%} of {len(successes)} records"


if __name__ == "__main__":
    run_program(main)
