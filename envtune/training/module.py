"""GRPO as a LightningModule: one rollout batch in, one optimiser step out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.grpo.loss import LossParts, averaged_count, grpo_loss, token_weights
from envtune.grpo.settings import GRPOSettings
from envtune.processes.collectives import gather
from envtune.task import Split
from envtune.training.distributed.gradient_average import averaged_gradients, share_of_mean
from envtune.training.hindsight import Hindsight, taught_advantages
from envtune.training.model.fsdp_strategy import FSDP2Strategy
from envtune.training.model.policy import Policy
from envtune.training.model.sharding import full_tensor
from envtune.training.rate_schedule import RateSchedule, ScheduledRate
from envtune.training.recorded_arguments import MakeOptimizer, recorded_arguments, restored_arguments
from envtune.training.reporting import metrics
from envtune.training.reporting.aggregates import Aggregates
from envtune.training.reporting.phase_clock import PhaseClock
from envtune.training.reporting.scalar_log import log_scalars
from envtune.training.reporting.update_axis import last_update
from envtune.training.reporting.update_statistics import UpdateStatistics
from envtune.training.rollout_batch import RolloutBatch, ValidationBatch
from envtune.training.run_folder.checkpoint_io import hyperparameters_of
from envtune.training.trainer_check import check_trainer
from envtune.training.weight_sync import sync_weights

# conf/optimizer/adamw.yaml
ADAMW: MakeOptimizer = partial(AdamW, lr=1e-6, betas=(0.9, 0.999), weight_decay=0.01)


class GRPOModule(LightningModule):
    """The update (paper, section 3.3): clipped loss on group-relative advantages, KL to the stage's start, entropy.

    Optimisation is manual, because the number of micro-batches of a rollout batch depends on their lengths. A gradient
    norm that is not finite changes no weights. The Trainer must have an `EnvironmentDataModule`, whose sampler gets the
    new weights after every update.

    Args:
        policy: the trained model and its reference.
        grpo: the numbers of the update.
        optimizer: makes the optimiser from the trained parameters.
        scheduler: the schedule of the learning rate; None keeps it constant. A subclass may instead override
            `configure_optimizers` with any schedule of torch, which is stepped as its configuration says.
        distill: hindsight distillation, the same as the data module's; None for none.
    """

    def __init__(
        self,
        policy: Policy,
        grpo: GRPOSettings = GRPOSettings(),
        optimizer: MakeOptimizer = ADAMW,
        scheduler: RateSchedule | None = None,
        distill: Hindsight | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters(recorded_arguments(grpo, optimizer, scheduler, distill), logger=False)
        self.policy = policy
        self.grpo, self.distill = grpo, distill
        self._make_optimizer = optimizer
        self._schedule = scheduler
        self._optimizer_settings: list[dict[str, Any]] = []
        self._train_aggregates = Aggregates(metrics.MINIMA, metrics.MAXIMA)
        self._eval_aggregates = Aggregates()
        self.sync_seconds = 0.0
        """Seconds of the last weight sync."""
        self.updates_before = 0
        """Updates of a curriculum's earlier stages; set by `continue_update_count`."""
        self.gradient_norm = 0.0
        """Gradient norm of the newest update."""
        self.collapse_is_watched = False
        """Whether a callback handles a gradient norm that is not finite; otherwise it raises."""
        self._last_update_ended = 0.0

    @property
    def policy_version(self) -> int:
        """The number of updates so far, including those of a curriculum's earlier stages."""
        return self.trainer.global_step

    @classmethod
    @override
    def load_from_checkpoint(cls, checkpoint_path: Any, *arguments: Any, **given: Any) -> GRPOModule:
        """Return a module with the trained weights of a checkpoint: ``load_from_checkpoint(path, policy=policy)``.

        The policy is given, because a checkpoint has neither its architecture nor the weights of its reference, which
        are those of the given model. Other constructor arguments that are not given come from the checkpoint.

        Raises:
            UserError: the policy is not given or does not fit, or the checkpoint does not record an argument.
        """
        if "policy" not in given:
            raise UserError(
                f"checkpoint {checkpoint_path} has neither the architecture of the model nor the weights of its "
                "reference: give load_from_checkpoint policy=Policy(load_model(path)), with the model that was trained"
            )
        given |= restored_arguments(hyperparameters_of(checkpoint_path), given, str(checkpoint_path))
        return super().load_from_checkpoint(checkpoint_path, *arguments, **given)

    @override
    def setup(self, stage: str) -> None:
        check_trainer(self.trainer)
        self.trainer.datamodule.check_model(self.policy.model)  # type: ignore[attr-defined]

    @override
    def configure_model(self) -> None:
        # private: `trainer` raises if there is none, as in load_from_checkpoint, which calls this hook.
        if self._trainer and isinstance(self.trainer.strategy, FSDP2Strategy):
            self.trainer.strategy.shard(self.policy)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self._make_optimizer(parameter for parameter in self.policy.parameters() if parameter.requires_grad)
        self._optimizer_settings = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        if self._schedule is None:
            return optimizer
        # The length of a run in epochs depends on that of the data, which Lightning would set up later.
        self.trainer.fit_loop.setup_data()
        rate = self._schedule.of(optimizer, last_update(self.trainer, self) - self.updates_before)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def check_schedule(self, run_length: float) -> None:
        """Raise UserError if the schedule of the learning rate does not fit a run of ``run_length`` updates."""
        if self._schedule:
            self._schedule.length(run_length)

    @override
    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise UserError(
                "with manual optimisation, Lightning drops what ReduceLROnPlateau monitors: override "
                "lr_scheduler_step(scheduler, metric) in your module with scheduler.step(self.trainer.callback_metrics"
                "[name])"
            )
        scheduler.step()

    @override
    def on_fit_start(self) -> None:
        # transformers loads models in evaluation mode, in which gradient checkpointing is off.
        self.policy.train()
        self._last_update_ended = time.perf_counter()

    @override
    def on_train_start(self) -> None:
        # Lightning has restored those of the checkpoint, but a continued run has its own.
        for optimizer in self.trainer.optimizers:
            for group, settings in zip(optimizer.param_groups, self._optimizer_settings, strict=False):
                group.update(settings)
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ScheduledRate):
                config.scheduler.go_to(self.policy_version - self.updates_before)
        self._sync_weights()

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self._sync_weights()

    @override
    def on_train_epoch_end(self) -> None:
        self._step_schedules("epoch", self.trainer.current_epoch + 1)

    @override
    def on_validation_start(self) -> None:
        # Within fit the weights were synced after the last update.
        if self.trainer.state.fn == TrainerFn.VALIDATING or self.trainer.sanity_checking:
            self._sync_weights()

    @override
    def on_test_start(self) -> None:
        self._sync_weights()

    @override
    def on_predict_start(self) -> None:
        self._sync_weights()

    @override
    def training_step(self, batch: RolloutBatch, batch_idx: int) -> None:
        self._require_on_policy(batch.tensors)
        clock = PhaseClock(self.device)
        with clock.phase("wait"):
            # Measures the wait for the slowest rank's rollout.
            self.trainer.strategy.barrier()
        with clock.phase("update"):
            self._update(self._taught(batch, clock), clock)
        phases, ended = clock.seconds(), time.perf_counter()
        elapsed, self._last_update_ended = ended - self._last_update_ended, ended
        other = elapsed - self.sync_seconds - batch.rollout_seconds - phases["wait"] - phases["update"]
        self._train_aggregates.add(metrics.performance_samples(batch, phases, self.sync_seconds, other))
        self._log_rollout(batch)

    @torch.no_grad()
    def _taught(self, batch: RolloutBatch, clock: PhaseClock) -> TrainBatch:
        """Return the tensors, with the teacher's part in the advantages of failed calls."""
        if self.distill is None:
            return batch.tensors
        calls = batch.taught
        micro_batches = self.policy.micro_batches(calls.tensors, self.grpo.max_tokens_per_batch) if calls else []
        teacher = torch.zeros_like(calls.tensors.behaviour_logprobs) if calls else batch.tensors.advantages.new_zeros(0)
        # Gathered before the first pass, because during the passes ranks with sharded weights exchange only those.
        idle = max(gather(len(micro_batches))) - len(micro_batches)
        with clock.phase("policy"):
            for rows in micro_batches:
                assert calls is not None
                teacher[calls.tensors.sampled_of(rows)] = self.policy(calls.tensors.select(rows)).logprobs
            # With sharded weights all ranks must make the same number of passes.
            for _ in range(idle):
                self.policy(batch.tensors.select(batch.tensors.lengths.argmin()[None]))
        self._train_aggregates.add({"distill/tokens": [len(teacher) / max(1, len(batch.tensors.sampled))]})
        if calls is None:
            return batch.tensors
        log_ratios = teacher - calls.tensors.behaviour_logprobs
        clipped = (log_ratios.abs() > self.distill.clip).float()
        self._train_aggregates.add({"distill/log_ratio": log_ratios.tolist(), "distill/clipped": clipped.tolist()})
        advantages = taught_advantages(batch.tensors.advantages, log_ratios, calls, self.distill)
        return replace(batch.tensors, advantages=advantages)

    def _update(self, batch: TrainBatch, clock: PhaseClock) -> None:
        optimizer = self.optimizers()
        assert isinstance(optimizer, Optimizer)
        statistics = UpdateStatistics(self.grpo.importance, self.grpo.importance_cap)
        with averaged_gradients(self.trainer.strategy, self.policy.parameters()):
            for loss in self._losses(batch, statistics, clock):
                with clock.phase("backward"):
                    self.manual_backward(loss)
        self.gradient_norm = self._gradient_norm()
        if math.isfinite(self.gradient_norm):
            self.clip_gradients(optimizer, gradient_clip_val=self.grpo.gradient_clip, gradient_clip_algorithm="norm")
            self._train_aggregates.add({"grad_norm": [self.gradient_norm]})
        else:
            # The step is counted, but without gradients it changes nothing.
            optimizer.zero_grad()
        optimizer.step()
        # Frees their memory for the next rollout.
        optimizer.zero_grad()
        self._train_aggregates.add(statistics.samples(self.grpo.beta, self.grpo.entropy_coef))
        self._train_aggregates.add({"lr": [optimizer.param_groups[0]["lr"]]})
        self._step_schedules("step", self.policy_version)

    @override
    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        self._eval_aggregates.add(metrics.split_samples(Split.VAL, batch))

    @override
    def test_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        self._eval_aggregates.add(metrics.split_samples(Split.TEST, batch))

    @override
    def predict_step(self, batch: ValidationBatch, batch_idx: int) -> ValidationBatch:
        """Return the trajectories of test tasks; `Trainer.predict` returns the list of such batches."""
        return batch

    @override
    def on_validation_epoch_end(self) -> None:
        if self.trainer.state.fn != TrainerFn.FITTING:
            self.on_test_epoch_end()
            return
        measured = self._publish(self._eval_aggregates)
        if not self.trainer.sanity_checking:
            log_scalars(self.trainer, measured)

    @override
    def on_test_epoch_end(self) -> None:
        # `trainer.validate` and `trainer.test` return what is logged here; `step` is its place in the curves.
        self.log_dict(self._eval_aggregates.pop() | {"step": float(self.policy_version)})

    def _losses(self, batch: TrainBatch, statistics: UpdateStatistics, clock: PhaseClock) -> Iterator[Tensor]:
        """Yield the loss of each micro-batch: the sum is the batch's loss, its mean over ranks that of all batches."""
        aggregation = self.grpo.aggregation
        weights = token_weights(batch.episodes, aggregation, self.grpo.token_budget)
        weights *= share_of_mean(averaged_count(batch.episodes, aggregation))
        micro_batches = self.policy.micro_batches(batch, self.grpo.max_tokens_per_batch)
        # Gathered before the first pass, because during the passes ranks with sharded weights exchange only those.
        idle = max(gather(len(micro_batches))) - len(micro_batches)
        for rows in micro_batches:
            micro, micro_weights = batch.select(rows), weights[batch.sampled_of(rows)]
            parts, logprobs = self._loss(micro, micro_weights, clock)
            statistics.add(parts, logprobs, micro.behaviour_logprobs, micro_weights, micro.episodes, micro.turns)
            yield parts.total
        for _ in range(idle):
            # Zero, from the shortest row: with sharded weights all ranks must make the same number of passes.
            micro = batch.select(batch.lengths.argmin()[None])
            yield self._loss(micro, torch.zeros_like(micro.behaviour_logprobs), clock)[0].total

    def _loss(self, micro: TrainBatch, weights: Tensor, clock: PhaseClock) -> tuple[LossParts, Tensor]:
        with clock.phase("policy"):
            tokens = self.policy(micro)
        with clock.phase("reference"):
            reference_logprobs = self.policy.reference_logprobs(micro)
        parts = grpo_loss(
            logprobs=tokens.logprobs,
            behaviour_logprobs=micro.behaviour_logprobs,
            reference_logprobs=reference_logprobs,
            entropy=tokens.entropy,
            advantages=micro.advantages,
            weights=weights,
            episodes=micro.episodes,
            beta=self.grpo.beta,
            entropy_coef=self.grpo.entropy_coef,
            clip_low=self.grpo.clip_low,
            clip_high=self.grpo.clip_high,
            dual_clip=self.grpo.dual_clip,
            importance=self.grpo.importance,
            importance_cap=self.grpo.importance_cap,
            kl_clamp=self.grpo.kl_clamp,
        )
        return parts, tokens.logprobs

    def _require_on_policy(self, batch: TrainBatch) -> None:
        versions = set(batch.policy_versions.tolist())
        if versions != {self.policy_version}:
            raise RuntimeError(
                f"rollouts of policy version {sorted(versions)} reached update {self.policy_version}: the generator "
                "did not get the newest weights (a subclass that overrides on_train_start or on_train_batch_end must "
                "call the hook of GRPOModule)"
            )

    def _gradient_norm(self) -> float:
        """Return the 2-norm of all gradients before clipping.

        Raises:
            RuntimeError: it is not finite, and no callback handles that.
        """
        gradients = [p.grad for p in self.policy.parameters() if p.grad is not None]
        norm = float(full_tensor(torch.nn.utils.get_total_norm(gradients)))
        if not (math.isfinite(norm) or self.collapse_is_watched):
            raise RuntimeError(
                f"the gradient of update {self.policy_version} is not finite ({norm}): continue from the last "
                "checkpoint with a lower optimizer.lr, or model.dtype=float32; or let callbacks=transition "
                "callbacks.transition.on_collapse=restore go back to the best one"
            )
        return norm

    def _log_rollout(self, batch: RolloutBatch) -> None:
        trajectories = [trajectory for group in batch.groups for trajectory in group.trajectories]
        domain_of = self.trainer.datamodule.domain_of  # type: ignore[attr-defined]
        self._train_aggregates.add(metrics.group_samples(batch.groups))
        self._train_aggregates.add(metrics.trajectory_samples(trajectories, domain_of))
        advantages = batch.tensors.advantages.double()
        sums = len(advantages), float(advantages.sum()), float((advantages**2).sum())
        count, total, squares = map(sum, zip(*gather(sums), strict=True))
        mean = total / max(1, count)
        deviation = max(0.0, squares / max(1, count) - mean**2) ** 0.5
        self._train_aggregates.add({"advantage/mean": [mean], "advantage/std": [deviation]})
        self._train_aggregates.add({"reward/refills": [float(batch.refills)]})
        self._train_aggregates.add(batch.sampler)
        if batch.hint_probability is not None:
            self._train_aggregates.add({"env/hint_probability": [batch.hint_probability]})
        measured = self._publish(self._train_aggregates)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        # 0 logs nothing; a barebones Trainer has it.
        if every and self.policy_version % every == 0:
            log_scalars(self.trainer, measured)

    def _sync_weights(self) -> None:
        player = self.trainer.datamodule  # type: ignore[attr-defined]
        self.sync_seconds = sync_weights(self.policy, player, self.policy_version)

    def _step_schedules(self, interval: str, count: int) -> None:
        """Step the schedules of an interval, "step" or "epoch": with manual optimisation, Lightning does not."""
        for config in self.trainer.lr_scheduler_configs:
            if config.interval == interval and count % config.frequency == 0:
                self.lr_scheduler_step(config.scheduler, None)

    def _publish(self, aggregates: Aggregates) -> dict[str, float]:
        """Return and reset the aggregates, and put them into `callback_metrics`."""
        values = aggregates.pop()
        self.log_dict(values, logger=False)
        return values
