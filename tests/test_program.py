"""What every command does at its edge: a reader that goes away, and a terminal that cannot show a character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIGPIPE_STATUS = 141

PROGRAM = """
import sys
from envtune.program import run_program
def main():
    {body}
run_program(main)
"""


def run(body: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    "body",
    [
        "[print('a line', flush=True) for _ in range(100_000)]",
        "print('a' * 10_000_000)",
        "import rich; [rich.print('a line') for _ in range(100_000)]",
        # As argparse ends after --help: what was printed is still in the buffer.
        "print('a' * 100); input_ended = sys.stdin.read(); sys.exit(0)",
    ],
)
def test_a_reader_that_goes_away_ends_the_command_without_a_word(body: str):
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read()
        assert (process.wait(), said) == (SIGPIPE_STATUS, b"")


def test_a_broken_connection_that_is_not_standard_output_is_raised():
    done = run("raise BrokenPipeError('of a socket')")
    assert done.returncode == 1
    assert b"BrokenPipeError: of a socket" in done.stderr


def test_characters_that_the_terminal_cannot_show_are_question_marks():
    done = run("print('50 % … ±2', chr(0xdcff)); print('…', file=sys.stderr)", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"50 % ? ?2 ?\n", b"?\n")


def test_an_error_of_the_user_is_one_sentence_after_the_name_of_the_command(tmp_path: Path):
    body = "from envtune.errors import UserError; sys.argv = ['other']; raise UserError('seed=x is not a number')"
    program = tmp_path / "roll.py"
    program.write_text(PROGRAM.format(body=body))
    done = subprocess.run([sys.executable, program], env=os.environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"roll: seed=x is not a number\n")


def test_every_command_ends_this_way():
    for path in (*(ROOT / "tools").rglob("*.py"), *(ROOT / "envtune/commands").glob("[!_]*.py")):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text or path.parent.name == "commands":
            ends = ("run_program(main", "@command(", "from envtune.commands.")
            assert any(end in text for end in ends), path
