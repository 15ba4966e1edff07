"""The folder of one job of a sweep: its name, its job, and the job's outcome. Does not use Hydra.

    job.json        program, overrides and config of the job; only in a sweep
    job.lock        locked by the process that works on the job
    finished.json   the job's result, once it has finished
    failed.json     the error in which it ended

A job is identified by its overrides, not by its number, so that a longer sweep finds its earlier jobs again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.files.record_file import flatten, read_record, write_record

log = logging.getLogger(__name__)

# Lengths in a folder's name, in characters: file systems allow 255 bytes.
LABEL_LENGTH = 100
DIGEST_LENGTH = 10
# Settings that do not change what a job does.
_NOT_COMPARED = ("ckpt_path", "tags")
_RUNS_AGAIN = "delete it, and the same command runs the job again"
# Errors of file systems without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class SweepJob:
    """The command of one job."""

    program: str
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    """Composed, but not resolved, so that it does not depend on where the folder is."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a job that has finished."""

    result: float | None
    """The return value of the job, which a sweeper optimises."""


def folder_name(overrides: Iterable[str]) -> str:
    """Return a unique name for a set of overrides, regardless of their order, length and characters.

    Its readable part begins with choices and seed; paths only enter the digest at the end.
    """
    ordered = sorted(overrides)
    digest = hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:DIGEST_LENGTH]
    readable = sorted((o for o in ordered if "/" not in o), key=lambda o: o.partition("=")[0].count("."))
    words = "_".join(re.sub(r"['\"\[\]{}\s]", "", re.sub(r"^[^=]*\.", "", override)) for override in readable)
    # Without `=` and comma, so that the path can be given on a command line.
    label = re.sub(r"[^\w.-]+", "-", words, flags=re.ASCII).strip("-._")[:LABEL_LENGTH]
    return f"{label or 'defaults'}_{digest}"


@dataclass(frozen=True, slots=True)
class Failed:
    """The outcome of a job that has failed."""

    error: str
    """One sentence."""


class JobFolder:
    """The folder of a job, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder; the operating system releases the lock when this process ends, even by SIGKILL.

        On a file system without locks a warning is logged instead.

        Raises:
            UserError: another process works on this job, the folder is not writable, or it holds a link that leads out
                of it.
        """
        self.require_no_outward_links()
        lock = FileLock(self.path / "job.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"another process is at work in {self.path}: wait for it, or give another folder"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UserError(
                    f"{self.path} cannot be written to ({error.filename or lock.lock_file}: {error.strerror}): make it "
                    "writable, or give another folder; ckpt_path=<a .ckpt file of it> starts a new run from there"
                ) from error
            log.warning(
                "%s cannot be locked (%s): make sure that no other process works in it", self.path, error.strerror
            )
        try:
            yield
        finally:
            lock.release()

    def claim(self, job: SweepJob) -> bool:
        """Make this the folder of ``job``; return True if it already was.

        Raises:
            UserError: the folder belongs to a job with another program or config.
        """
        owner = read_record(self.path / "job.json", SweepJob, "move the folder away, or give another hydra.sweep.dir")
        if owner is None:
            write_record(self.path / "job.json", asdict(job))
            return False
        difference = _difference(owner, SweepJob(job.program, job.overrides, json.loads(json.dumps(job.config))))
        if difference:
            self._restore(owner)
            raise UserError(
                f"{self.path} belongs to another job ({difference}): give another hydra.sweep.dir, or move the folder"
            )
        return True

    @property
    def finished(self) -> Finished | None:
        """The outcome, if the job has finished."""
        return read_record(self.path / "finished.json", Finished, _RUNS_AGAIN)

    @property
    def failure(self) -> str | None:
        """The error in which the job ended, if it failed."""
        failed: Failed | None = read_record(self.path / "failed.json", Failed, _RUNS_AGAIN)
        return failed.error if failed else None

    def begin(self) -> None:
        """Delete the outcome of an earlier attempt."""
        for name in ("finished.json", "failed.json"):
            (self.path / name).unlink(missing_ok=True)

    def finish(self, result: float | None) -> None:
        """Record the result."""
        write_record(self.path / "finished.json", asdict(Finished(result)))

    def fail(self, sentence: str) -> None:
        """Record the error in which the job ended."""
        write_record(self.path / "failed.json", asdict(Failed(sentence)))

    def require_no_outward_links(self) -> None:
        """Raise UserError for a link that leads out of the folder, because a run would write through it.

        In a folder from elsewhere it may lead anywhere.
        """
        home = self.path.resolve()
        for parent, folders, files in os.walk(home):
            for path in (Path(parent, name) for name in (*folders, *files)):
                if path.is_symlink() and not path.resolve().is_relative_to(home):
                    raise UserError(
                        f"{path} is a link out of the run's folder, and the run would write through it: put what it "
                        f"leads to in its place (link the whole folder instead, if it belongs on another disk)"
                    )

    def _restore(self, owner: SweepJob) -> None:
        """Restore the config of the owner, which Hydra has overwritten with the rejected one."""
        for name, content in (("config", owner.config), ("overrides", list(owner.overrides))):
            path = self.path / f".hydra/{name}.yaml"
            if path.is_file():
                with atomic_file(path) as file:
                    yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)


def _difference(owner: SweepJob, job: SweepJob) -> str | None:
    """Return the first setting in which two jobs differ, with both values."""
    if owner.program != job.program:
        return f"of {owner.program}, not {job.program}"
    old, new = flatten(owner.config), flatten(job.config)
    for key in sorted(old.keys() | new.keys()):
        if key.split(".")[0] not in _NOT_COMPARED and old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'not there')} and is {new.get(key, 'not there')}"
    return None
