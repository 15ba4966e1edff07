"""Ends a stage when it has nothing more to give, and stops or restores a run that has collapsed."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from envtune.checked import checked
from envtune.errors import UserError
from envtune.training.curriculum.transition import CollapseGuard, TransitionRule
from envtune.training.model.weights import load_stage_weights
from envtune.training.reporting.metrics import ValidationName
from envtune.training.reporting.scalar_log import log_scalars
from envtune.training.weight_sync import give_weights

log = logging.getLogger(__name__)


@checked
class StageTransition(Callback):
    """Looks at every validation and every update, logs what it sees (``curriculum/*``) and stops the run by ``rule``.

    ``reason`` says why it stopped the run, None while it has not, and ``collapsed`` whether that was a collapse. Both
    are saved: a run that was over is still over when it is continued.

    Args:
        rule: when the stage is over.
        guard: when the run has collapsed.
        metric: the validation number that has to plateau.
        on_collapse: ``stop`` ends the run; ``restore`` goes back to the checkpoint ``best``, with a fresh optimiser
            state, and goes on from there. Either way the checkpoint stays.
        best: the file that the best validation was saved in.

    Raises:
        UserError: an argument that is not allowed; while validating: ``metric`` is of a category without tasks.
    """

    def __init__(
        self,
        rule: TransitionRule,
        guard: CollapseGuard,
        metric: ValidationName,
        on_collapse: Literal["stop", "restore"],
        best: str,
    ) -> None:
        self._rule, self._guard, self._metric = rule, guard, metric
        self._on_collapse, self._best = on_collapse, Path(best)
        self._validations: list[float] = []
        self._gradient_norms: list[float] = []
        self.reason: str | None = None
        self.collapsed = False

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        module.collapse_is_watched = True

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.reason:
            self._stop(trainer, f"the stage was over before: {self.reason}")

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        if self._metric not in trainer.callback_metrics:
            raise UserError(f"callbacks.transition.metric={self._metric} is no result of validation")
        self._validations.append(float(trainer.callback_metrics[self._metric]))
        # The validations before and after training are measured, and nothing is left to decide at them.
        if trainer.state.fn != TrainerFn.FITTING or self.reason:
            return
        updates = trainer.global_step - module.updates_before
        signals = self._rule.judge(updates, self._validations, self._gradient_norms)
        over = {"curriculum/over": float(signals.reason is not None)}
        known = {"curriculum/gain": signals.gain, "curriculum/spread": signals.spread}
        log_scalars(trainer, {name: value for name, value in known.items() if value is not None} | over)
        self.reason = signals.reason
        if signals.reason:
            self._stop(trainer, f"the stage is over: {signals.reason}")
        else:
            log.info(
                "update %d: nothing yet ends the stage: %s", trainer.global_step, self._rule.describe(updates, signals)
            )

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        self._gradient_norms.append(module.gradient_norm)
        # Not logged, so not there, where it was not finite in the first update.
        kl = float(trainer.callback_metrics.get("kl", math.nan))
        collapse = self._guard.judge(self._gradient_norms, kl)
        if collapse is None:
            return
        log_scalars(trainer, {"curriculum/collapse": 1.0})
        if self._on_collapse == "restore" and self._best.is_file():
            self._restore(trainer, module, collapse)
        else:
            self.reason, self.collapsed = f"the run has collapsed: {collapse}", True
            kept = f"is kept in {self._best}" if self._best.is_file() else "has not been kept: there was none yet"
            self._stop(trainer, f"{self.reason}; the best validation {kept}")

    def state_dict(self) -> dict[str, Any]:
        seen = {"validations": self._validations, "gradient_norms": self._gradient_norms}
        return seen | {"reason": self.reason, "collapsed": self.collapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._validations = list(state_dict["validations"])
        self._gradient_norms = list(state_dict["gradient_norms"])
        self.reason, self.collapsed = state_dict["reason"], state_dict["collapsed"]

    def _restore(self, trainer: Trainer, module: Any, collapse: str) -> None:
        log.warning("update %d: %s; going back to %s", trainer.global_step, collapse, self._best)
        load_stage_weights(module.policy.model, str(self._best))
        for optimizer in trainer.optimizers:
            optimizer.state.clear()
        # The generator got those of the collapse, for the weights are given away right after the update.
        give_weights(trainer, module)
        # What came before is no measure of the restored weights.
        self._gradient_norms.clear()

    def _stop(self, trainer: Trainer, reason: str) -> None:
        log.info("update %d: %s", trainer.global_step, reason)
        trainer.should_stop = True


class StageMark(Callback):
    """Logs ``curriculum/stage`` with every update: the stage's ``place`` in the curriculum, from 1."""

    def __init__(self, place: int) -> None:
        self._place = float(place)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        log_scalars(trainer, {"curriculum/stage": self._place})
