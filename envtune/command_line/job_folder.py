"""The folder of one job of a sweep: its name, the job it belongs to, and how that ended. Knows no Hydra.

A run outside of a sweep has all but the first of these too.

    job.json        program, overrides and config of the job that the folder was made for
    job.lock        locked by the process that is at work on the job
    finished.json   the job's result, once it has one
    failed.json     the sentence in which it ended, if it did not finish

A job is known by its overrides, never by its number: the same command finds its folders again, also if it has grown.
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
from envtune.files.record_file import read_record

log = logging.getLogger(__name__)

# Of a folder's name, in characters: file systems allow 255 bytes.
LABEL_LENGTH = 100
DIGEST_LENGTH = 10
# Where a job may be continued and how a person finds it again: no difference in what it does.
_NOT_COMPARED = ("ckpt_path", "tags")
_RUNS_AGAIN = "delete it, and the same command runs the job again"
# What a file system answers that has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class SweepJob:
    """What one job is to do. ``config`` is composed, not resolved: it says the same wherever the folder lies."""

    program: str
    overrides: tuple[str, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finished:
    """``result`` is what the job returned, the number that a sweeper optimises."""

    result: float | None


def folder_name(overrides: Iterable[str]) -> str:
    """A name that no other set of overrides has, whatever their order, length and characters.

    Readable as far as it goes, choices and seed first; a path only counts for the digest at the end.
    """
    ordered = sorted(overrides)
    digest = hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:DIGEST_LENGTH]
    readable = sorted((override for override in ordered if "/" not in override), key=_depth)
    said = "_".join(re.sub(r"['\"\[\]{}\s]", "", re.sub(r"^[^=]*\.", "", override)) for override in readable)
    # No `=` and no comma, so that a path can be given on a command line again.
    label = re.sub(r"[^\w.-]+", "-", said, flags=re.ASCII).strip("-._")[:LABEL_LENGTH]
    return f"{label or 'defaults'}_{digest}"


def _depth(override: str) -> int:
    return override.partition("=")[0].count(".")


@dataclass(frozen=True, slots=True)
class Failed:
    """``error`` is the sentence in which the job ended."""

    error: str


class JobFolder:
    """One folder at ``path``; it need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out; the operating system opens it again when this process ends, however it ends.

        On a file system that has no locks nobody is kept out, and a warning says so.

        Raises:
            UserError: another process is at work on this job, or the folder cannot be written to, or it holds a link
                that leads out of it.
        """
        self.require_own_files()
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
            log.warning("%s cannot be locked (%s): see that no other process works in it", self.path, error.strerror)
        try:
            yield
        finally:
            lock.release()

    def claim(self, job: SweepJob) -> bool:
        """Makes this the folder of ``job``; True if it is so already.

        Raises:
            UserError: it is the folder of a job with another program or config.
        """
        owner = read_record(self.path / "job.json", SweepJob, "move the folder away, or give another hydra.sweep.dir")
        if owner is None:
            _write(self.path / "job.json", asdict(job))
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
        return read_record(self.path / "finished.json", Finished, _RUNS_AGAIN)

    @property
    def failure(self) -> str | None:
        """The sentence in which the job ended."""
        failed: Failed | None = read_record(self.path / "failed.json", Failed, _RUNS_AGAIN)
        return failed.error if failed else None

    def begin(self) -> None:
        """From now on the job is neither finished nor failed."""
        for name in ("finished.json", "failed.json"):
            (self.path / name).unlink(missing_ok=True)

    def finish(self, result: float | None) -> None:
        _write(self.path / "finished.json", {"result": result})

    def fail(self, sentence: str) -> None:
        _write(self.path / "failed.json", {"error": sentence})

    def require_own_files(self) -> None:
        """Raises UserError for a link below the folder that leads out of it: a run writes through it, and in a folder
        that comes from somebody else it may lead anywhere.
        """
        home = self.path.resolve()
        for place, folders, files in os.walk(home):
            for path in (Path(place, name) for name in (*folders, *files)):
                if path.is_symlink() and not path.resolve().is_relative_to(home):
                    raise UserError(
                        f"{path} is a link out of the run's folder, and the run would write through it: put what it "
                        f"leads to in its place (link the whole folder instead, if it belongs on another disk)"
                    )

    def _restore(self, owner: SweepJob) -> None:
        """Hydra has written the refused config into the folder before anybody could refuse it."""
        for name, content in (("config", owner.config), ("overrides", list(owner.overrides))):
            path = self.path / f".hydra/{name}.yaml"
            if path.is_file():
                with atomic_file(path) as file:
                    yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)


def _difference(owner: SweepJob, job: SweepJob) -> str | None:
    """The first setting in which two jobs differ, with both values."""
    if owner.program != job.program:
        return f"of {owner.program}, not {job.program}"
    old, new = _flat(owner.config), _flat(job.config)
    for key in sorted(old.keys() | new.keys()):
        if key.split(".")[0] not in _NOT_COMPARED and old.get(key) != new.get(key):
            return f"{key} was {_shown(old, key)} and is {_shown(new, key)}"
    return None


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat


def _shown(config: Mapping[str, Any], key: str) -> str:
    return str(config[key]) if key in config else "not there"


def _write(path: Path, record: Mapping[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")
