"""Memory of this process and its device, in GiB."""

from __future__ import annotations

import psutil
import torch

_GIB = 2.0**30


def resident_memory() -> float:
    """What this process holds in main memory now."""
    return float(psutil.Process().memory_info().rss) / _GIB


def peak_device_memory() -> float:
    """The most that PyTorch ever held on the GPU; without one, resident memory."""
    return torch.cuda.max_memory_allocated() / _GIB if torch.cuda.is_available() else resident_memory()
