"""End a run of several ranks as soon as one of them is lost, and report which one.

Without it the other ranks would wait in a collective for a killed one, or fail with an error that does not name it.
Each rank holds a connection to rank 0, which the operating system closes when a process ends. A rank that hangs, or a
machine that loses its network, is not detected.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Client, Connection, Listener, wait

import rich
from lightning import Callback, LightningModule, Trainer

# private: Lightning's observer of the processes that it starts, whose period has no option. torchrun and srun end all
# ranks themselves; with Lightning's launcher, ranks outlive a killed rank 0, and no launcher names the lost rank. A
# launcher that did both would replace this module.
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from lightning.pytorch.strategies import ParallelStrategy
from typing_extensions import override

from envtune.processes.collectives import gather

log = logging.getLogger(__name__)

_LOOPBACK, _ANYWHERE = "127.0.0.1", "0.0.0.0"
# Messages of a rank that leaves normally or with an error; any other message is the number of a lost rank.
_FINISHED, _FAILED = -1, -2
# In place of a message from a closed connection.
_LOST = -3
# Seconds to wait for a sign that an error is due to another lost rank, and then for the thread to report it.
_DETECTION, _REPORT = 1, 5
# Period of Lightning's own observer in seconds (default 5), which kills this process without naming a rank.
_OBSERVER_PERIOD = 60


class RankWatch(Callback, AbstractContextManager["RankWatch"]):
    """A context around everything that the ranks do together, and a callback of every Trainer in it.

    A rank that leaves the context with an error counts as lost. The other ranks then exit immediately, without cleanup,
    because they may be blocked in a collective that cannot be interrupted.
    """

    def __init__(self) -> None:
        self._peers: dict[int, Connection] = {}
        # By rank: `process 12 on host`.
        self._processes: list[str] = []
        self._watcher: threading.Thread | None = None
        self._failing = self._leaving = False

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if isinstance(error, Exception):
            # A collective with a lost rank may fail before the thread has noticed the loss: let it report first.
            self._failing = True
            if self._watcher and wait(list(self._peers.values()), _DETECTION):
                self._watcher.join(_REPORT)
        self._leaving = True
        for peer in self._peers.values():
            with suppress(OSError):
                peer.send(_FINISHED if kind is None else _FAILED)
                if kind:
                    peer.close()

    @override
    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1 and not self._processes:
            self._connect(trainer)

    def _connect(self, trainer: Trainer) -> None:
        """Connect every rank to rank 0. A collective."""
        strategy = trainer.strategy
        assert isinstance(strategy, ParallelStrategy)
        assert strategy.cluster_environment
        on_one_machine = trainer.num_nodes == 1
        address = _LOOPBACK if on_one_machine else strategy.cluster_environment.main_address
        process, key = f"process {os.getpid()} on {socket.gethostname()}", secrets.token_bytes(32)
        if trainer.global_rank == 0:
            self._listen(_LOOPBACK if on_one_machine else _ANYWHERE, key, process)
            _slow_down_lightnings_observer()
        else:
            ranks = gather((process, 0, b""))
            self._processes = [process for process, _, _ in ranks]
            _, port, key = ranks[0]
            self._peers[0] = Client((address, port), authkey=key)
            self._peers[0].send(trainer.global_rank)
        self._watcher = threading.Thread(target=self._watch, name="rank_watch", daemon=True)
        self._watcher.start()

    def _listen(self, interface: str, key: bytes, process: str) -> None:
        """Accept the connections of all other ranks at a free port, which they receive in a collective."""
        with Listener((interface, 0), backlog=socket.SOMAXCONN, authkey=key) as listener:
            assert isinstance(listener.address, tuple)
            self._processes = [process for process, _, _ in gather((process, listener.address[1], key))]
            while len(self._peers) < len(self._processes) - 1:
                peer = listener.accept()
                self._peers[peer.recv()] = peer

    def _watch(self) -> None:
        """Receive messages until all peers have finished."""
        watched = {peer: rank for rank, peer in self._peers.items()}
        while watched:
            try:
                for peer in wait(list(watched)):
                    assert isinstance(peer, Connection)
                    try:
                        message = int(peer.recv())
                    except (EOFError, ConnectionError):
                        # The process is gone.
                        message = _LOST
                    # Ranks that fail with the same error each report it.
                    if message == _FINISHED or (message == _FAILED and self._failing):
                        del watched[peer]
                    elif message in (_LOST, _FAILED):
                        self._exit(watched[peer], reported=False)
                    else:
                        self._exit(message, reported=True)
            except OSError:
                # This process closes its connections when it leaves with an error.
                return

    def _exit(self, lost: int, reported: bool) -> None:
        """End this process because of the rank ``lost``, which rank 0 may have ``reported`` to the user."""
        if self._leaving:
            return
        for rank, peer in self._peers.items():
            if rank != lost:
                with suppress(OSError):
                    peer.send(lost)
        log.log(
            logging.INFO if reported else logging.ERROR,
            "rank %d of %d (%s) has ended too early: it was killed, ran out of memory, or reported an error itself. "
            "All other ranks end with it; continue the run from its last checkpoint with ckpt_path",
            lost,
            len(self._processes),
            self._processes[lost],
        )
        rich.get_console().show_cursor()
        sys.stdout.flush()
        os._exit(1)


def _slow_down_lightnings_observer() -> None:
    """Keep Lightning's observer as a fallback; at its usual pace it may end the run before the rank is reported."""
    for thread in threading.enumerate():
        if isinstance(thread, _ChildProcessObserver):
            # private: see the import.
            thread._sleep_period = _OBSERVER_PERIOD
