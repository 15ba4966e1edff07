from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import fuzz_checkpoint
from fuzz_checkpoint import fuzz

from envtune.training.run_folder import checkpoint_io


def test_no_damage_passes_as_a_whole_checkpoint(tmp_path: Path):
    counts = fuzz(tmp_path / "last.ckpt", every=400, others=140, seed=1)
    assert counts.total() > 180
    assert {outcome for _, outcome in counts} <= {"noticed", "harmless"}
    assert len({kind for kind, _ in counts}) == 8


def test_damage_that_passes_is_counted_and_fails_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # No other damage can be missed than one of which the digest is not compared.
    monkeypatch.setattr(checkpoint_io, "_fault_of", lambda path: None)
    monkeypatch.setattr(fuzz_checkpoint, "BLOCKS", (1,))
    monkeypatch.setattr(sys, "argv", ["fuzz_checkpoint.py", "--every", "1000000", "--others", "7"])
    assert fuzz_checkpoint.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert int(re.fullmatch(r"8 damaged checkpoints, (\d) passed as whole with other contents", said[-1])[1]) > 1
