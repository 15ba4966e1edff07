from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from envtune.training.run_folder import checkpoint_io
from tools.fuzz import checkpoint as fuzz_checkpoint
from tools.fuzz.checkpoint import fuzz


def test_every_damage_is_noticed_or_harmless(tmp_path: Path):
    counts = fuzz(tmp_path / "last.ckpt", every=400, others=140, seed=1)
    assert counts.total() > 180
    assert {outcome for _, outcome in counts} <= {"noticed", "harmless"}
    assert len({kind for kind, _ in counts}) == 8


def test_an_undetected_damage_is_counted_and_fails_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # A damage can be missed only where the digest is not compared.
    monkeypatch.setattr(checkpoint_io, "_fault_of", lambda path: None)
    monkeypatch.setattr(fuzz_checkpoint, "BLOCKS", (1,))
    monkeypatch.setattr(sys, "argv", ["tools.fuzz.checkpoint", "--every", "1000000", "--others", "7"])
    assert fuzz_checkpoint.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert int(re.fullmatch(r"8 damaged checkpoints, (\d) passed as whole with other contents", said[-1])[1]) > 1
