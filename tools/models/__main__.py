"""Compare sampler and update with the untouched model for every causal language model of the installed transformers.

Each architecture is built tiny, with random weights, and is trained equally, or refused in a sentence, or a fault.

    python -m tools.models                       # all, in about 3 minutes on one core
    python -m tools.models llama gpt_oss         # some
    python -m tools.models --markdown            # all, and write the table of docs/models.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import envtune.process_start

import transformers

from envtune.errors import UserError
from envtune.program import run_program
from tools.models.rows import TIMEOUT, Row, architectures, measured_row
from tools.models.table import replace_table, report, summary

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


def main() -> int:
    """Measure the chosen models and print a line for each; return 1 if one is neither equal nor refused."""
    parser = argparse.ArgumentParser(prog="python -m tools.models", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="model types, or rows of tools/models/sizes.py; default: all")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for one architecture (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="replace the table of docs/models.md; needs all names")
    args = parser.parse_args()
    cases = architectures()
    unknown = sorted(set(args.names) - {case.name for case in cases})
    if unknown:
        raise UserError(f"{unknown[0]} is not a causal language model of transformers {transformers.__version__}")
    if args.names and args.markdown:
        raise UserError("--markdown writes the whole table: leave out the names")
    transformers.logging.set_verbosity_error()
    rows: list[Row] = []
    for case in cases:
        if not args.names or case.name in args.names:
            rows.append(measured_row(case, args.timeout))
            print(rows[-1].line, flush=True)
    if args.markdown:
        replace_table(DOCUMENT, report(rows))
    print(summary(rows))
    return int(any(row.verdict == "fault" for row in rows))


if __name__ == "__main__":
    run_program(main, name="models")
