"""The digest of 4,000 recordings' verdicts is a known one: no restructuring has changed what is judged, or how."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.digests import recordings, summary, verdicts

ROOT = Path(__file__).parents[2]
# Changes with BFCL's tasks, with tools/digests.py, and with a verdict: only the last is a fault.
KNOWN = {
    "sha256": "31f2e1ce7e1655296cad24a3f9c245606ba3a444fcfc6c90219df7cc05e1ced5",
    "records": 4000,
    "turns passed": 12733,
    "turns failed": 3947,
}


def test_4000_recordings_have_the_verdicts_that_they_always_had(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    scored = verdicts(recordings())
    assert summary(scored) == KNOWN
    turn = scored[-1]["turns"][-1]
    turn["passed_officially"] = not turn["passed_officially"]
    assert summary(scored)["sha256"] != KNOWN["sha256"]
