"""The response protocol that a policy was trained with, as its run or its exported folder records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from envtune.chat.protocol.named import PROTOCOLS, name_of
from envtune.errors import UserError
from envtune.files.record_file import read_record, write_record
from envtune.training.run_folder.run_record import Settings, read_run_record
from envtune.training.run_folder.starting_point import find_checkpoint

# In an exported model's folder: what the files of transformers do not hold.
FILE = "envtune.json"
_DEFAULT = next(iter(PROTOCOLS))


class ExportRecord(TypedDict, total=False):
    """The content of envtune.json."""

    protocol: str


def protocol_of_settings(settings: Settings) -> str:
    """Return the protocol in a run's settings: its name, or the class of a user's own."""
    # Records of versions with one protocol do not name it.
    return name_of(settings.get("protocol", {}).get("_target_", _DEFAULT))


def write_protocol(folder: Path, protocol: str) -> None:
    """Record the protocol of an exported model."""
    write_record(folder / FILE, {"protocol": protocol})


def protocol_of_folder(folder: str) -> str | None:
    """Return the protocol of an exported model; None for any other folder or name.

    Raises:
        UserError: the record is damaged.
    """
    record: ExportRecord | None = read_record(Path(folder) / FILE, ExportRecord, "export the model again")
    return record.get("protocol") if record else None


def require_protocol_of_the_policy(settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Require a choice of the protocol where the one at hand is not the one that the weights were trained with.

    Args:
        settings: the composed settings of a training or an evaluation.
        overrides: the command line.

    Raises:
        UserError: the run of ``init_from``, or the model's folder, has another protocol, and ``overrides`` choose none.
    """
    if any(override.startswith("protocol=") for override in overrides):
        return
    if settings["init_from"] is not None:
        source = f"init_from={settings['init_from']}"
        run = find_checkpoint(settings["init_from"]).parent.parent
        record = read_run_record(run, "give a .ckpt file of another run")
        trained = protocol_of_settings(record["settings"]) if record and record.get("settings") else None
    else:
        source = f"model.path={settings['model'].get('path')}"
        trained = protocol_of_folder(str(settings["model"].get("path")))
    chosen = name_of(settings["protocol"]["_target_"])
    if trained not in (None, chosen):
        name = trained if trained in PROTOCOLS else f"the file of your conf/protocol/ with {trained}"
        raise UserError(
            f"{source} was trained with another protocol: add protocol={name}, or protocol={chosen} to use it with "
            "this one"
        )
