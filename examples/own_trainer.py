"""Plain Lightning, without Hydra: train the embedded model at the lending desk with a Trainer of your own.

python examples/own_trainer.py
"""

from functools import partial
from importlib.resources import files

import envtune.process_start  # above torch

from library.library import environment
from lightning import Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from torch.optim import AdamW

from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.environment.python_module import ModuleTasks
from envtune.environment.selected_tasks import SelectedTasks
from envtune.grpo.settings import GRPOSettings
from envtune.reward import ProgressReward
from envtune.rollout.collector import Collector
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model
from envtune.training.module import GRPOModule
from envtune.training.rate_schedule import RateSchedule

MODEL = str(files("envtune") / "models" / "tiny")

grpo = GRPOSettings(group_size=4, tasks_per_update=2)
tasks = SelectedTasks(ModuleTasks("library.library"), environment, val_size=4)
template = Template(load_tokenizer(MODEL), PromptStyle("compact"))
lengths = {"max_prompt_tokens": 1024, "max_response_tokens": 128, "max_completion_tokens": 32}
collector = Collector(HFGenerator(), template, environment, max_episodes=8, **lengths)
datamodule = EnvironmentDataModule(tasks, collector, ProgressReward(), grpo)
module = GRPOModule(Policy(load_model(MODEL)), grpo, partial(AdamW, lr=5e-5), RateSchedule("cosine", warmup_updates=1))

best = ModelCheckpoint(monitor="val/progress/overall", mode="max")
trainer = Trainer(
    default_root_dir="runs/own_trainer",
    max_steps=2,
    val_check_interval=2,
    log_every_n_steps=1,
    limit_test_batches=1,  # 8 test tasks: batches of an evaluation have collector.max_episodes
    callbacks=[best, LearningRateMonitor()],
)
trainer.validate(module, datamodule)
trainer.fit(module, datamodule)
trainer.test(module, datamodule)

# The policy is given, because a checkpoint lacks the model's architecture; all else is recorded in it.
reloaded = GRPOModule.load_from_checkpoint(best.best_model_path, policy=Policy(load_model(MODEL)))
trainer.test(reloaded, datamodule)
