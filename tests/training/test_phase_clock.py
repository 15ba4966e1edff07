from __future__ import annotations

import pytest
import torch

from envtune.training.reporting.phase_clock import PhaseClock

CPU = torch.device("cpu")


def clock_that_reads(*times: float) -> PhaseClock:
    readings = iter(times)
    return PhaseClock(CPU, lambda: next(readings))


def test_a_phase_adds_up_over_its_visits_and_counts_what_lies_within():
    clock = clock_that_reads(10.0, 11.0, 13.0, 20.0, 24.0, 30.0)
    with clock.phase("update"):
        with clock.phase("backward"):
            pass
        with clock.phase("backward"):
            pass
    # From 11 to 13 and from 20 to 24; the whole from 10 to 30.
    assert clock.seconds() == {"backward": 6.0, "update": 20.0}


def test_a_phase_that_raised_is_not_counted():
    clock = clock_that_reads(0.0)
    with pytest.raises(KeyError), clock.phase("update"):
        raise KeyError
    assert clock.seconds() == {}
