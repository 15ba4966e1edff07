"""Disks that are full, as far as tests without rights can have them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Writing to it fails as it does on a full disk, after what fits the buffer.
FULL = Path("/dev/full")


@contextmanager
def files_end_after(size: int) -> Iterator[None]:
    """Within the block, this process cannot write a file beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
