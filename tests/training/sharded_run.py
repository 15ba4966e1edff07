"""Two processes that train one policy together (trainer=fsdp), on the CPU (gloo).

They are forked from a server that has imported everything, and are told what `torchrun` tells its processes.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import shape_checks  # noqa: F401
import torch

import train as program

ROOT = Path(__file__).parent.parent.parent
RANKS = 2


def together(work: Callable[..., Any], *arguments: Any) -> tuple[list[int | None], str]:
    """Runs ``work(*arguments)`` in both processes; their exit codes, and what they printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with socket.socket() as port_finder:
        port_finder.bind(("127.0.0.1", 0))
        port = port_finder.getsockname()[1]
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as output:
        # The server imports before it is told this process's path.
        with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
            processes = [
                context.Process(target=_as_rank, args=(rank, port, output.name, work, arguments))
                for rank in range(RANKS)
            ]
            for process in processes:
                process.start()
        for process in processes:
            process.join()
        return [process.exitcode for process in processes], output.read()


def train(arguments: list[str]) -> None:
    """`python train.py ARGUMENTS`"""
    os.chdir(ROOT)
    sys.argv = ["train.py", *arguments]
    program.train()


def _as_rank(rank: int, port: int, output: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with open(output, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    torchrun = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in (torchrun | address).items()})
    work(*arguments)
