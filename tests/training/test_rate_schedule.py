"""The learning rate of every update: schedules of the config, and those of a user's own `configure_optimizers`."""

from __future__ import annotations

from math import cos, inf, pi
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_run import run
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from test_exact_resume import settings as settings_of_run
from test_plain_trainer import plain_trainer
from toy_training import SGD, settings_of, toy_datamodule, toy_module
from toy_world import toy_model

from envtune.errors import UserError
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.rate_schedule import RateSchedule
from envtune.training.reporting.update_axis import continue_update_count
from envtune.training.run_folder.csv_log import read_rows

LINEAR = RateSchedule("linear")


def scheduled(scheduler: RateSchedule | None, optimizer: Any = SGD) -> GRPOModule:
    return GRPOModule(Policy(toy_model()), settings_of(), optimizer, scheduler)


def rates(tokenizer: Any, folder: Path, module: GRPOModule, start: Path | None = None, **arguments: Any) -> list[float]:
    """The rate of each update as it was logged; SGD at rate 1, four training tasks, two in each update.

    That the update used it is read from the weights: the clipped gradient has the norm 1, hence the step the rate.
    """
    logger, taken = CSVLogger(folder, name=f"csv_{len(list(folder.glob('csv_*')))}", version=""), []

    class Steps(LearningRateMonitor):
        def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
            super().on_train_batch_start(trainer, module, *_)
            self.before = weights_of(module)

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            taken.append(float((weights_of(module) - self.before).norm()))

    given = {"max_steps": 4, "limit_val_batches": 0} | arguments
    trainer = plain_trainer(folder, logger=logger, log_every_n_steps=1, callbacks=[Steps("step")], **given)
    continue_update_count(trainer, module, module.updates_before)
    trainer.fit(module, toy_datamodule(tokenizer), ckpt_path=start)
    trainer.save_checkpoint(folder / "end.ckpt")
    logged = [float(row["lr"]) for row in read_rows(Path(logger.log_dir) / "metrics.csv") if row.get("lr")]
    assert taken == pytest.approx(logged, abs=1e-4)
    monitored = [row for row in read_rows(Path(logger.log_dir) / "metrics.csv") if row.get("lr-SGD")]
    assert [float(row["lr-SGD"]) for row in monitored] == pytest.approx(logged)
    return logged


def weights_of(module: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.policy.model.parameters()])


def test_a_linear_schedule_falls_by_equal_steps():
    assert [LINEAR.share(update, 4) for update in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def test_a_cosine_schedule_falls_by_half_a_period():
    schedule = RateSchedule("cosine")
    expected = [1.0, 0.5 + 0.5 * cos(pi / 4), 0.5, 0.5 + 0.5 * cos(3 * pi / 4), 0.0]
    assert [schedule.share(update, 4) for update in range(5)] == pytest.approx(expected)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_the_rate_rises_over_the_warm_up_and_is_never_zero_in_it(shape: Any):
    schedule = RateSchedule(shape, warmup_updates=3)
    assert [schedule.share(update, 5) for update in range(6)] == [0.25, 0.5, 0.75, 1.0, pytest.approx(0.5), 0.0]


def test_the_total_of_the_schedule_comes_before_the_length_of_the_run():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rate = RateSchedule("linear", total_updates=2).of(optimizer, run_length=inf)
    rate.go_to(1)
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    ("schedule", "length", "words"),
    [
        (LINEAR, inf, r"whose length is not limited: give scheduler\.total_updates or trainer\.max_steps"),
        (RateSchedule("cosine", 4), 4, r"scheduler\.warmup_updates=4 must be below the 4 updates of the schedule"),
    ],
)
def test_a_schedule_without_an_end_or_a_fall_is_refused(schedule: RateSchedule, length: float, words: str):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with pytest.raises(UserError, match=words):
        schedule.of(optimizer, length)


@pytest.mark.parametrize(
    "limits", [{"max_steps": 4}, {"max_steps": -1, "max_epochs": 2}, {"max_steps": 100, "max_epochs": 2}], ids=str
)
def test_every_update_is_made_at_the_rate_that_is_logged(tokenizer: Any, tmp_path: Path, limits: dict[str, int]):
    assert rates(tokenizer, tmp_path, scheduled(LINEAR), **limits) == [1.0, 0.75, 0.5, 0.25]


def test_without_a_schedule_the_rate_is_constant(tokenizer: Any, tmp_path: Path):
    assert rates(tokenizer, tmp_path, scheduled(None)) == [1.0] * 4


def test_a_run_of_unknown_length_is_refused_before_an_episode_is_played(tokenizer: Any, tmp_path: Path):
    datamodule = toy_datamodule(tokenizer)
    datamodule.collector.play = lambda *_: pytest.fail("played")  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"whose length is not limited"):
        plain_trainer(tmp_path, max_steps=-1, max_epochs=-1, limit_val_batches=0).fit(scheduled(LINEAR), datamodule)


def test_a_warm_up_as_long_as_the_run_is_refused_before_the_start_is_validated(toy_folder: Path, tmp_path: Path):
    long = ["scheduler=cosine", "scheduler.warmup_updates=8"]
    assert run([*settings_of_run(toy_folder), *long, f"hydra.run.dir={tmp_path / 'run'}"], tmp_path / "said.txt") == 1
    said = " ".join((tmp_path / "said.txt").read_text().split())
    assert "error: scheduler.warmup_updates=8 must be below the 8 updates of the schedule" in said
    assert not (tmp_path / "run/run.json").exists()


def test_every_stage_of_a_curriculum_has_its_own_schedule(tokenizer: Any, tmp_path: Path):
    module = scheduled(LINEAR)
    module.updates_before = 40
    assert rates(tokenizer, tmp_path, module) == [1.0, 0.75, 0.5, 0.25]


def test_a_continued_run_is_the_one_that_was_not_interrupted(tokenizer: Any, tmp_path: Path):
    whole, part = scheduled(RateSchedule("cosine", 1, 4)), scheduled(RateSchedule("cosine", 1, 4))
    expected = rates(tokenizer, tmp_path, whole)
    states = [torch.load(tmp_path / "end.ckpt", weights_only=True)]
    first = rates(tokenizer, tmp_path, part, max_steps=2)
    continued = scheduled(RateSchedule("cosine", 1, 4))
    second = rates(tokenizer, tmp_path, continued, tmp_path / "end.ckpt")
    states.append(torch.load(tmp_path / "end.ckpt", weights_only=True))
    assert [*first, *second] == expected
    assert weights_of(continued).equal(weights_of(whole))
    assert states[0]["lr_schedulers"] == states[1]["lr_schedulers"] == [{"last_epoch": 4}]
    assert states[0]["optimizer_states"][0]["param_groups"] == states[1]["optimizer_states"][0]["param_groups"]


def test_a_longer_run_takes_the_rates_of_its_own_length_from_where_it_continues(tokenizer: Any, tmp_path: Path):
    assert rates(tokenizer, tmp_path, scheduled(LINEAR), max_steps=2) == [1.0, 0.5]
    longer = rates(tokenizer, tmp_path, scheduled(LINEAR), tmp_path / "end.ckpt", max_steps=4)
    assert longer == [0.5, 0.25]


def test_a_schedule_that_a_continued_run_adds_begins_at_its_update(tokenizer: Any, tmp_path: Path):
    assert rates(tokenizer, tmp_path, scheduled(None), max_steps=2) == [1.0, 1.0]
    assert rates(tokenizer, tmp_path, scheduled(LINEAR), tmp_path / "end.ckpt", max_steps=4) == [0.5, 0.25]


@pytest.mark.parametrize("scheduler", [None, LINEAR], ids=["constant", "linear"])
def test_the_rate_that_a_continued_run_is_given_replaces_that_of_its_checkpoint(
    tokenizer: Any, tmp_path: Path, scheduler: RateSchedule | None
):
    rates(tokenizer, tmp_path, scheduled(scheduler), max_steps=2)
    lower = scheduled(scheduler, lambda parameters: torch.optim.SGD(parameters, lr=0.5))
    continued = rates(tokenizer, tmp_path, lower, tmp_path / "end.ckpt", max_steps=4)
    assert continued == ([0.5, 0.5] if scheduler is None else [0.25, 0.125])


class OwnSchedule(GRPOModule):
    """A user's module with a schedule of torch."""

    configuration: Any = None

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.policy.parameters(), lr=1.0)
        return {"optimizer": optimizer, "lr_scheduler": type(self).configuration(optimizer)}


def own(configuration: Any) -> GRPOModule:
    kind = type("Own", (OwnSchedule,), {"configuration": staticmethod(configuration)})
    return kind(Policy(toy_model()), settings_of())


def halving(optimizer: Any, **configuration: Any) -> dict[str, Any]:
    return {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5), **configuration}


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({"interval": "step"}, [1.0, 0.5, 0.25, 0.125]),
        ({"interval": "step", "frequency": 2}, [1.0, 1.0, 0.5, 0.5]),
        # Two updates an epoch.
        ({"interval": "epoch"}, [1.0, 1.0, 0.5, 0.5]),
    ],
    ids=str,
)
def test_a_schedule_of_ones_own_is_stepped_as_configured(
    tokenizer: Any, tmp_path: Path, configuration: dict[str, Any], expected: list[float]
):
    module = own(lambda optimizer: halving(optimizer, **configuration))
    assert rates(tokenizer, tmp_path, module) == expected


class Plateau(OwnSchedule):
    @staticmethod
    def configuration(optimizer: Any) -> Any:
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=0)


class WatchfulPlateau(Plateau):
    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step(self.trainer.callback_metrics["val/success/overall"])


def test_a_schedule_that_watches_a_metric_needs_the_hook_that_gives_it(tokenizer: Any, tmp_path: Path):
    with pytest.raises(UserError, match=r"override lr_scheduler_step\(scheduler, metric\) in your module"):
        rates(tokenizer, tmp_path, Plateau(Policy(toy_model()), settings_of()))
    module = WatchfulPlateau(Policy(toy_model()), settings_of())
    # No task succeeds: the validation of the second epoch is no gain over that of the first.
    measured = rates(tokenizer, tmp_path, module, limit_val_batches=1.0, max_steps=6)
    assert measured == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_default_optimizer_is_that_of_the_config():
    module = GRPOModule(Policy(toy_model()))
    optimizer: Any = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert module.hparams["optimizer"] == {"name": "AdamW", "lr": 1e-6, "betas": (0.9, 0.999), "weight_decay": 0.01}
    assert toy_module().hparams["optimizer"] == {"name": "SGD", "lr": 1.0}
