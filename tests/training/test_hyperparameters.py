"""TensorBoard's HPARAMS tab, as its own reader finds it."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from envtune.training.reporting.scalar_log import log_outcome


def test_settings_and_final_validation_are_read_back_as_hyperparameters_and_their_metrics(tmp_path: Path):
    loggers = [
        CSVLogger(str(tmp_path), name="csv", version=""),
        TensorBoardLogger(str(tmp_path), name="tensorboard", version=""),
    ]
    settings = {"stage": "3", "grpo.beta": "0.001"}
    log_outcome(loggers, settings, {"val/success/overall": 0.25, "val/progress/base": 0.5}, update=20)

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("hp/success/overall")] == [(20, 0.25)]
    assert [(point.step, point.value) for point in events.Scalars("hp/progress/base")] == [(20, 0.5)]

    def written(name: str) -> HParamsPluginData:
        content = events.SummaryMetadata(f"_hparams_/{name}").plugin_data.content
        return HParamsPluginData.FromString(content)

    found = written("session_start_info").session_start_info.hparams
    assert {name: value.string_value for name, value in found.items()} == settings
    metrics = {info.name.tag for info in written("experiment").experiment.metric_infos}
    assert metrics == {"hp/success/overall", "hp/progress/base"}
