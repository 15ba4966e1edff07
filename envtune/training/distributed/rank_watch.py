"""Ends a run of several processes as soon as one of them is gone, and says which one.

A process that is killed says nothing, and the others would wait for it: for ever, or until an operation fails in words
that name nobody. Here each holds a connection to the first process, which the operating system closes when a process
ends, however it ends. Does not notice a process that hangs, or a machine that is cut off from the net.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from types import TracebackType

import rich
from lightning import Callback, LightningModule, Trainer

# private: Lightning's watch over the processes that it starts, which no option slows down. Under torchrun and srun the
# launcher ends all ranks, without this thread; with Lightning's own launcher ranks outlive a rank 0 that is killed, and
# no launcher names the rank that is gone. A launcher that did both would replace this module.
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from lightning.pytorch.strategies import ParallelStrategy

from envtune.processes.collectives import gather

log = logging.getLogger(__name__)

_LOOPBACK, _ANYWHERE = "127.0.0.1", "0.0.0.0"
# What a process says that leaves in order, or by an error; anything else that is said is the rank of one that is gone.
_GOODBYE, _FAILED = -1, -2
# Seconds in which the end of another must show if an error is due to it, and in which the thread then tells of it.
_FOR_ITS_END, _TO_TELL = 1, 5
# Seconds between two looks of Lightning's own watch (5 by default), which kills this process without naming anybody.
_LIGHTNINGS_WATCH_PERIOD = 60


class RankWatch(Callback):
    """A context around all that the processes do together, and a callback of every Trainer in it.

    Who leaves the context by an error is as good as gone: the others end too. A process that ends because of another
    does so at once, like one that is killed, for it may be waiting inside an operation that nothing interrupts.
    """

    def __init__(self) -> None:
        self._peers: dict[int, Connection] = {}
        self._places: list[str] = []
        self._watcher: threading.Thread | None = None
        self._failing = self._leaving = False

    def __enter__(self) -> RankWatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._wait_for_another_s_end()
        self._leaving = True
        for peer in self._peers.values():
            with suppress(OSError):
                peer.send(_GOODBYE if kind is None else _FAILED)
                if kind:
                    peer.close()

    def _wait_for_another_s_end(self) -> None:
        """What is done with one that is gone fails, perhaps before the thread has seen who: lets it tell first."""
        self._failing = True
        if self._watcher and wait(list(self._peers.values()), _FOR_ITS_END):
            self._watcher.join(_TO_TELL)

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1 and not self._places:
            self._connect(trainer)

    def _connect(self, trainer: Trainer) -> None:
        """Brings all ranks together, each with a connection to the first."""
        strategy = trainer.strategy
        assert isinstance(strategy, ParallelStrategy)
        assert strategy.cluster_environment
        on_one_machine = trainer.num_nodes == 1
        address = _LOOPBACK if on_one_machine else strategy.cluster_environment.main_address
        place, key = f"process {os.getpid()} on {socket.gethostname()}", secrets.token_bytes(32)
        if trainer.global_rank == 0:
            self._listen(_LOOPBACK if on_one_machine else _ANYWHERE, key, place)
            _slow_down_lightnings_watch()
        else:
            ranks = gather((place, 0, b""))
            self._places = [place for place, _, _ in ranks]
            _, port, key = ranks[0]
            self._peers[0] = Client((address, port), authkey=key)
            self._peers[0].send(trainer.global_rank)
        self._watcher = threading.Thread(target=self._watch, name="rank_watch", daemon=True)
        self._watcher.start()

    def _listen(self, interface: str, key: bytes, place: str) -> None:
        """The first rank's side; any free port will do, for the others are told."""
        with Listener((interface, 0), backlog=socket.SOMAXCONN, authkey=key) as listener:
            assert isinstance(listener.address, tuple)
            self._places = [place for place, _, _ in gather((place, listener.address[1], key))]
            while len(self._peers) < len(self._places) - 1:
                peer = listener.accept()
                self._peers[peer.recv()] = peer

    def _watch(self) -> None:
        """Waits for what the others say, until all have said goodbye."""
        watched = {peer: rank for rank, peer in self._peers.items()}
        while watched:
            try:
                for peer in wait(list(watched)):
                    assert isinstance(peer, Connection)
                    said = _hear(peer)
                    # Two that fail alike each tell of their error.
                    if said == _GOODBYE or (said == _FAILED and self._failing):
                        del watched[peer]
                    elif said is None or said == _FAILED:
                        self._end(watched[peer], heard=False)
                    else:
                        self._end(said, heard=True)
            except OSError:
                # This process closes its connections when it leaves by an error.
                return

    def _end(self, gone: int, heard: bool) -> None:
        """Ends this process; ``heard`` from the first one, which has said so to the user."""
        if self._leaving:
            return
        for rank, peer in self._peers.items():
            if rank != gone:
                with suppress(OSError):
                    peer.send(gone)
        log.log(
            logging.INFO if heard else logging.ERROR,
            "rank %d of %d (%s) has ended before its time: it was killed, ran out of memory, or told of an error "
            "itself. All others end with it; continue the run from its last checkpoint with ckpt_path",
            gone,
            len(self._places),
            self._places[gone],
        )
        rich.get_console().show_cursor()
        sys.stdout.flush()
        os._exit(1)


def _slow_down_lightnings_watch() -> None:
    """It is what is left should this one fail; at its usual pace it comes first at times, and no sentence is said."""
    for thread in threading.enumerate():
        if isinstance(thread, _ChildProcessObserver):
            # private: see the import.
            thread._sleep_period = _LIGHTNINGS_WATCH_PERIOD


def _hear(peer: Connection) -> int | None:
    """What a process says, None if it is gone."""
    try:
        return int(peer.recv())
    except (EOFError, ConnectionError):
        return None
