"""The folder of one job of a sweep: its name, the job it belongs to, and how that ended. Knows no Hydra.

A run outside of a sweep has all but the first of these too.

    job.json        program, overrides and config of the job that the folder was made for
    job.lock        locked by the process that is at work on the job
    finished.json   the job's result, once it has one
    failed.json     the sentence in which it ended, if it did not finish

A job is known by its overrides, never by its number: the same command finds its folders again, also if it has grown.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from envtune.errors import UserError
from envtune.whole_file import whole_file

log = logging.getLogger(__name__)

# Of a folder's name, in characters: file systems allow 255 bytes.
LABEL_LENGTH = 100
DIGEST_LENGTH = 10
# Where a job may be continued and how a person finds it again: no difference in what it does.
_NOT_COMPARED = ("ckpt_path", "tags")


@dataclass(frozen=True, slots=True)
class Job:
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


class JobFolder:
    """One folder at ``path``; it need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out; the operating system opens it again when this process ends, however it ends.

        On a file system that has no locks nobody is kept out, and a warning says so.

        Raises:
            UserError: another process is at work on this job.
        """
        lock = FileLock(self.path / "job.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"another process is at work in {self.path}: wait for it, or give another folder"
            ) from error
        except OSError as error:
            log.warning("%s cannot be locked (%s): see that no other process works in it", self.path, error.strerror)
        try:
            yield
        finally:
            lock.release()

    def claim(self, job: Job) -> bool:
        """Makes this the folder of ``job``; True if it is so already.

        Raises:
            UserError: it is the folder of a job with another program or config.
        """
        owner = _read(self.path / "job.json")
        if owner is None:
            _write(self.path / "job.json", asdict(job))
            return False
        difference = _difference(owner, json.loads(json.dumps(asdict(job))))
        if difference:
            self._restore(owner)
            raise UserError(
                f"{self.path} belongs to another job ({difference}): give another hydra.sweep.dir, or move the folder"
            )
        return True

    @property
    def finished(self) -> Finished | None:
        record = _read(self.path / "finished.json")
        return None if record is None else Finished(record["result"])

    @property
    def failure(self) -> str | None:
        """The sentence in which the job ended."""
        record = _read(self.path / "failed.json")
        return None if record is None else str(record["error"])

    def begin(self) -> None:
        """From now on the job is neither finished nor failed."""
        for name in ("finished.json", "failed.json"):
            (self.path / name).unlink(missing_ok=True)

    def finish(self, result: float | None) -> None:
        _write(self.path / "finished.json", {"result": result})

    def fail(self, sentence: str) -> None:
        _write(self.path / "failed.json", {"error": sentence})

    def _restore(self, owner: Mapping[str, Any]) -> None:
        """Hydra has written the refused config into the folder before anybody could refuse it."""
        for name in ("config", "overrides"):
            path = self.path / f".hydra/{name}.yaml"
            if path.is_file():
                with whole_file(path) as file:
                    yaml.safe_dump(owner[name], file, sort_keys=False, allow_unicode=True)


def _difference(owner: Mapping[str, Any], job: Mapping[str, Any]) -> str | None:
    """The first setting in which two jobs differ, with both values."""
    if owner["program"] != job["program"]:
        return f"of {owner['program']}, not {job['program']}"
    old, new = _flat(owner["config"]), _flat(job["config"])
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


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _write(path: Path, record: Mapping[str, Any]) -> None:
    with whole_file(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")
