"""What a wrong command line is answered with."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from envtune.command_line.command import CONFIG_FOLDER, command, quote_numbers, require_known_keys, sentence
from envtune.command_line.composed_config import require_valid_components
from envtune.errors import UserError
from envtune.files.atomic_file import write_error


def answer_to(*arguments: str, part: str = "reward") -> str:
    """The sentence that `python train.py ARGUMENTS` ends in, when composing or when checking ``part``."""
    arguments = tuple(quote_numbers(arguments))
    GlobalHydra.instance().clear()
    with pytest.raises((HydraException, OmegaConfBaseException, UserError)) as caught:  # noqa: PT012
        with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            config = hydra.compose("train", overrides=list(arguments))
        require_known_keys(config, "train")
        require_valid_components(OmegaConf.create({part: config[part]}))
    return sentence(caught.value, "train", arguments)


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("stage=3", "stage='3'"),
        ("stage=1,2,3,4", "stage='1','2','3','4'"),
        ("stage='3'", "stage='3'"),
        ("seed=3", "seed=3"),
        ("grpo.stage=3", "grpo.stage=3"),
        ("stage=4,curriculum", "stage='4','curriculum'"),
        ("stage=choice(1,2)", "stage='1','2'"),
        ("stage=range(1,4)", "stage='1','2','3'"),
        ("stage=glob(*,exclude=curriculum)", "stage='1','1_reference','2','3','4','clone'"),
        ("experiment=kl_0,kl_0.001", "experiment=kl_0,kl_0.001"),
        ("reward=glob(*)", "reward='binary','format','mixed','progress','toolrl'"),
        ("data={val_size: 3}", "data={val_size: 3}"),
    ],
)
def test_only_numbers_that_name_a_choice_are_quoted(given: str, passed_on: str):
    assert quote_numbers([given]) == [passed_on]


def test_an_unknown_choice_lists_the_choices():
    assert answer_to("stage=7") == "stage=7 is not a choice; choose one of: 1, 1_reference, 2, 3, 4, clone, curriculum"


def test_an_unknown_group_lists_groups_and_guesses_what_was_meant():
    answer = answer_to("rewards=progress")
    assert answer.startswith("rewards is not a group or setting; did you mean reward? valid are: advantage, augm")


def test_an_unknown_group_lists_those_too_that_leave_nothing_in_the_config():
    answer = answer_to("stag=3")
    assert answer.startswith("stag is not a group or setting; did you mean stage? ")
    named = answer.partition("valid are: ")[2].split(", ")
    assert {"stage", "experiment", "budget", "debug", "mismatch"} <= {*named}


def test_an_unknown_group_of_hydras_lists_hydras():
    answer = answer_to("hydra/launcer=slurm")
    assert answer.startswith("hydra/launcer is not a setting of hydra; did you mean launcher? valid are: callbacks, ")


@pytest.mark.parametrize("given", ["experiment=null", "experiment=null,kl_0", "stage=glob(x*)"])
def test_what_names_no_choice_lists_the_choices(given: str):
    group = given.partition("=")[0]
    with pytest.raises(UserError, match=rf"is not a choice; leave {group} out, or choose one of: "):
        quote_numbers([given])


def test_an_unknown_setting_lists_those_of_its_group():
    answer = answer_to("reward=mixed", "reward.progres=1")
    assert answer == (
        "reward.progres is not a setting of reward; did you mean progress? valid are: format, progress, turn_rule"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            "advantage.outcome_weight=0.3",
            "advantage.outcome_weight is not a setting of advantage; valid are: eps; it is one of advantage=turn",
        ),
        (
            "advantage.rho.passed=1",
            "advantage.rho.passed is not a setting of advantage; valid are: eps; rho is one of advantage=diagnosis",
        ),
        (
            "sampler.max_age=3",
            "sampler.max_age is not a setting of sampler, which has none; it is one of sampler=variance",
        ),
        (
            "scheduler.warmup_updates=5",
            "scheduler.warmup_updates cannot be set, for scheduler is null without another choice: add "
            "scheduler=cosine or scheduler=linear",
        ),
    ],
)
def test_a_setting_of_another_choice_names_that_choice(given: str, sentence: str):
    assert answer_to(given) == sentence


def test_a_setting_that_an_experiment_makes_of_another_choice_names_the_experiment():
    answer = answer_to("data=playground", "experiment=seal", part="data")
    assert answer.startswith("data.split is not a setting of envtune.playground.source.Playground; valid are: ")
    assert answer.endswith("; experiment=seal sets it: leave that out, or choose another data")


def test_a_setting_of_the_curriculum_without_one_names_the_choice_that_it_needs():
    assert answer_to("stage=3", "curriculum.max_updates=5") == (
        "curriculum.max_updates cannot be set, for curriculum is null without another choice: add stage=curriculum"
    )


def test_an_added_setting_that_a_component_does_not_take_is_refused():
    answer = answer_to("reward=mixed", "+reward.tool=1")
    valid = "format, progress, turn_rule"
    assert answer == f"reward.tool is not a setting of envtune.reward.MixedReward; valid are: {valid}"


def test_an_added_setting_that_nothing_reads_is_refused():
    assert answer_to("+sed=1").startswith("sed is not used; did you mean seed? valid are: ")


def test_a_value_out_of_range_is_answered_by_the_component():
    answer = answer_to("grpo.clip_low=2.0", part="grpo")
    assert answer == "grpo.clip_low=2.0 must be a number above 0 and below 1"


def test_a_wrong_split_name_lists_the_splits():
    answer = answer_to("data.split=random", part="data")
    assert answer == "data.split='random' must be one of scenario, paper, seal"


def test_a_value_that_must_be_given_is_named():
    answer = answer_to("model=hf", part="model")
    assert answer == "model.path has no value: give one on the command line (model.path=…)"


@pytest.mark.parametrize("left_by_help", [None, OmegaConf.create({"hydra": {"runtime": {"output_dir": "???"}}})])
def test_a_full_disk_names_the_file_and_the_way_on(monkeypatch: pytest.MonkeyPatch, left_by_help: DictConfig | None):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", left_by_help)
    error = OSError(errno.ENOSPC, "No space left on device", "runs/a/trajectories/train/update_000003.jsonl.partial")
    assert sentence(error, "train") == (
        "the disk is full while writing runs/a/trajectories/train/update_000003.jsonl.partial: free some space, then "
        "continue the run with ckpt_path=RUN_FOLDER"
    )
    # What cannot be continued is not to be.
    assert sentence(write_error(error), "evaluate").endswith("update_000003.jsonl.partial: free some space")


@pytest.mark.parametrize(("given", "swept"), [("stage=[1,2]", "stage=1,2"), ("reward=[binary]", "reward=binary")])
def test_a_list_of_choices_is_answered_with_how_to_sweep(given: str, swept: str):
    with pytest.raises(
        UserError, match=rf"is a list, and \w+ takes one of: .*; to sweep over several, give -m {swept}$"
    ):
        quote_numbers([given])


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("tags=it's", r"""it is a text, give it as 'tags='"'"'it\'"'"'s'"'"''"""),
        ("grpo.beta=[1", "grpo.beta=[1 cannot be read, for quotes, commas, brackets"),
        ("foo", "foo is not an override: give group=choice or setting=value"),
        ("tags=[ü]", "tags=[ü] cannot be read: quote each text in the list, as in"),
        ("a b=3", "a b=3 is not an override: give group=choice or setting=value"),
    ],
)
def test_what_hydras_grammar_refuses_is_answered_with_how_it_is_written(given: str, answer: str):
    assert answer in answer_to(given)


@pytest.mark.parametrize("name", ["", "train.log", ".hydra", "job.lock"])
def test_a_run_folder_that_cannot_be_written_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
):
    """A file stands in place of a folder, or a folder in place of a file."""
    place = tmp_path / "run" / name
    if name.endswith(("log", "lock")):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    # Hydra names the log after the program.
    monkeypatch.setattr(sys, "argv", ["train.py", f"hydra.run.dir={tmp_path}/run", "hydra.job.name=train"])
    with pytest.raises(SystemExit) as caught:
        command("train")(lambda config: None)()
    assert str(caught.value).startswith("error: ")
    assert str(place).rstrip("/") in str(caught.value)
    assert "\n" not in str(caught.value)
