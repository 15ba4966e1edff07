"""One row a model: built and measured in a process of its own, so that one that hangs or dies is a row as well."""

from __future__ import annotations

import multiprocessing
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from envtune.errors import UserError
from tools.models.measured import Differences, measure
from tools.models.shrunk import shrunk_config, tiny_model
from tools.models.sizes import VARIANTS

Verdict = Literal["equal", "refused", "fault", "not built"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
TIMEOUT = 60.0
"""Seconds for one model."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model to build."""

    name: str
    kind: type[PreTrainedConfig]
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the configuration that replace those of `sizes.py`."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the measurement of a model gave."""

    name: str
    verdict: Verdict
    differences: Differences | None = None
    reason: str = ""
    """The sentence of the refusal, or what was raised."""
    seconds: float = 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        """Name, verdict, path of the update, way of the sampler, three differences in nats, seconds and the reason."""
        found = self.differences
        numbers = ["-"] * 5 if found is None else [found.path, found.way, *map("{:.0e}".format, found.values)]
        return (self.name, self.verdict, *numbers, f"{self.seconds:.1f}", self.reason)

    @property
    def line(self) -> str:
        """The cells in columns."""
        return "{:28} {:9} {:6} {:13} {:>6} {:>6} {:>6} {:>5} {}".format(*self.cells)


def architectures() -> list[Case]:
    """Return every causal language model of transformers and the variants of `sizes.py`, each model type once."""
    kinds = {kind.model_type: kind for kind in MODEL_FOR_CAUSAL_LM_MAPPING}
    cases = [Case(name, kind) for name, kind in kinds.items()]
    cases += [Case(name, kinds[model_type], fields) for name, model_type, fields in VARIANTS]
    return sorted(cases, key=lambda case: case.name)


def measured_row(case: Case, timeout: float = TIMEOUT) -> Row:
    """Build and measure a model in a child process."""
    # Forked, because the import of the libraries takes longer than a measurement.
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_send_row, args=(case, sending))
    started = time.perf_counter()
    child.start()
    sending.close()
    try:
        row = receiving.recv() if receiving.poll(timeout) else Row(case.name, "fault", reason=f"hangs ({timeout:g} s)")
    except EOFError:
        child.join()
        row = Row(case.name, "fault", reason=f"its process ended with status {child.exitcode}")
    child.kill()
    child.join()
    receiving.close()
    return replace(row, seconds=time.perf_counter() - started)


def _send_row(case: Case, sending: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sending.send(_row(case))


def _row(case: Case) -> Row:
    try:
        model = tiny_model(shrunk_config(case.kind, case.fields))
    # What a configuration of unusual sizes raises is not known beforehand.
    except Exception as error:
        return Row(case.name, "not built", reason=_described(error))
    try:
        differences = measure(model)
    except UserError as error:
        return Row(case.name, "refused", reason=str(error))
    except Exception as error:
        return Row(case.name, "fault", reason=_described(error))
    return Row(case.name, "equal" if differences.equal else "fault", differences)


def _described(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})"
