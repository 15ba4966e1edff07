"""A command run in this process, up to its exit status."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envtune.program import run_program


def status(main: Callable[[], int | None]) -> int:
    """Return the exit status of a command; its arguments are those of this process."""
    with pytest.raises(SystemExit) as end:
        run_program(main)
    assert end.value.code is None or isinstance(end.value.code, int)
    return end.value.code or 0
