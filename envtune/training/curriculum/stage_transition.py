"""End a stage that has converged, and stop or restore a run that has collapsed."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from envtune.checked import checked
from envtune.errors import UserError
from envtune.training.curriculum.transition import CollapseGuard, TransitionRule
from envtune.training.model.weights import load_stage_weights
from envtune.training.reporting.metrics import ValidationName
from envtune.training.reporting.scalar_log import log_scalars

log = logging.getLogger(__name__)

OnCollapse = Literal["stop", "restore"]


@checked
class StageTransition(Callback):
    """Apply ``rule`` to every validation and ``guard`` to every update, and log their signals (``curriculum/*``).

    Args:
        rule: decides when the stage is over.
        guard: decides when the run has collapsed.
        metric: the result of validation that has to plateau.
        on_collapse: ``stop`` ends the run; ``restore`` loads the checkpoint ``best``, resets the optimiser state, and
            continues. The checkpoint is kept in both cases.
        best: the checkpoint of the best validation.

    Raises:
        UserError: an argument is not allowed; at a validation: ``metric`` is of a category without tasks.
    """

    def __init__(
        self, rule: TransitionRule, guard: CollapseGuard, metric: ValidationName, on_collapse: OnCollapse, best: str
    ) -> None:
        self._rule, self._guard, self._metric = rule, guard, metric
        self._on_collapse, self._best = on_collapse, Path(best)
        self._validations: list[float] = []
        self._gradient_norms: list[float] = []
        # Both are saved, so that a stage that is over stays over when its run is resumed.
        self.reason: str | None = None
        """Why the stage is over; None until it is."""
        self.collapsed = False
        """Whether a collapse is the reason."""

    @override
    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        module.collapse_is_watched = True

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.reason:
            self._stop(trainer, f"the stage was already over: {self.reason}")

    @override
    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        if self._metric not in trainer.callback_metrics:
            raise UserError(f"callbacks.transition.metric={self._metric} is not a result of validation")
        self._validations.append(float(trainer.callback_metrics[self._metric]))
        # The validations before and after training are recorded, but cannot end the stage.
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
            log.info("update %d: the stage continues: %s", trainer.global_step, self._rule.describe(updates, signals))

    @override
    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        self._gradient_norms.append(module.gradient_norm)
        # Missing if it was not finite in the first update, because only finite values are logged.
        kl = float(trainer.callback_metrics.get("kl", math.nan))
        collapse = self._guard.judge(self._gradient_norms, kl)
        if collapse is None:
            return
        log_scalars(trainer, {"curriculum/collapse": 1.0})
        if self._on_collapse == "restore" and self._best.is_file():
            self._restore(trainer, module, collapse)
        else:
            self.reason, self.collapsed = f"the run has collapsed: {collapse}", True
            kept = f"is kept in {self._best}" if self._best.is_file() else "has not been saved: there was none yet"
            self._stop(trainer, f"{self.reason}; the best validation {kept}")

    @override
    def state_dict(self) -> dict[str, Any]:
        history = {"validations": self._validations, "gradient_norms": self._gradient_norms}
        return history | {"reason": self.reason, "collapsed": self.collapsed}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._validations = list(state_dict["validations"])
        self._gradient_norms = list(state_dict["gradient_norms"])
        self.reason, self.collapsed = state_dict["reason"], state_dict["collapsed"]

    def _restore(self, trainer: Trainer, module: Any, collapse: str) -> None:
        log.warning("update %d: %s; restoring %s", trainer.global_step, collapse, self._best)
        load_stage_weights(module.policy.model, str(self._best))
        for optimizer in trainer.optimizers:
            optimizer.state.clear()
        # The module syncs weights after its callbacks, so that the next rollout is sampled from the restored ones.
        # Norms from before the restore are not a baseline for the restored weights.
        self._gradient_norms.clear()

    def _stop(self, trainer: Trainer, reason: str) -> None:
        log.info("update %d: %s", trainer.global_step, reason)
        trainer.should_stop = True


class StageMark(Callback):
    """Log the stage's position in the curriculum, from 1, as ``curriculum/stage`` with every update."""

    def __init__(self, position: int) -> None:
        self._position = float(position)

    @override
    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        log_scalars(trainer, {"curriculum/stage": self._position})
