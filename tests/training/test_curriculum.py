"""Which stages are trained, from where, and what is recorded; the training itself is played by a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envtune.errors import UserError
from envtune.training.curriculum.stage_end import StageEnd
from envtune.training.curriculum.stages import Curriculum, StageStart, resume_stage
from envtune.training.run_folder.stage_record import read_stage_records


class Script:
    """Trains every stage for two updates; ``collapses`` names the stage that does not survive."""

    def __init__(self, collapses: str = "") -> None:
        self.starts: list[StageStart] = []
        self._collapses = collapses

    def __call__(self, start: StageStart) -> StageEnd:
        self.starts.append(start)
        checkpoints = start.folder / "checkpoints"
        return StageEnd(
            last_update=start.updates_before + 2,
            reason="it is over",
            collapsed=start.stage == self._collapses,
            last=checkpoints / "last.ckpt",
            best=checkpoints / "best.ckpt",
            best_value=0.5,
            before={"val/success/overall": 0.25},
            after={"val/success/overall": 0.375},
            curve=[(start.updates_before, 0.25), (start.updates_before + 2, 0.375)],
            best_metric="val/reward/overall",
        )


def curriculum(folder: Path, stages: Any = (1, 2, 3), **settings: Any) -> Curriculum:
    return Curriculum(str(folder), stages, **settings)


def test_each_stage_starts_from_the_best_of_the_one_before_and_counts_on(tmp_path: Path):
    curriculum(tmp_path).run(script := Script())
    assert [start.stage for start in script.starts] == ["1", "2", "3"]
    assert [start.position for start in script.starts] == [1, 2, 3]
    assert [start.updates_before for start in script.starts] == [0, 2, 4]
    assert [start.folder for start in script.starts] == [tmp_path / f"stage_{n}" for n in (1, 2, 3)]
    best = [tmp_path / f"stage_{n}/checkpoints/best.ckpt" for n in (1, 2)]
    assert [start.init_from for start in script.starts] == [None, *best]


def test_a_stage_starts_from_the_last_checkpoint_where_that_was_chosen(tmp_path: Path):
    curriculum(tmp_path, start_from="last").run(script := Script())
    assert script.starts[1].init_from == tmp_path / "stage_1/checkpoints/last.ckpt"


def test_the_record_holds_one_entry_for_each_stage(tmp_path: Path):
    curriculum(tmp_path, [1, 2]).run(Script())
    first, second = json.loads((tmp_path / "stages.json").read_text())
    assert first == {
        "stage": "1",
        "first_update": 1,
        "last_update": 2,
        "reason": "it is over",
        "checkpoint": "stage_1/checkpoints/best.ckpt",
        "best": 0.5,
        "collapsed": False,
        "before": {"val/success/overall": 0.25},
        "after": {"val/success/overall": 0.375},
        "curve": [[0, 0.25], [2, 0.375]],
        "metric": "val/reward/overall",
    }
    assert (second["stage"], second["first_update"], second["last_update"]) == ("2", 3, 4)


def test_checkpoints_are_recorded_relative_to_the_run_also_behind_a_link(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")

    def train(start: StageStart) -> StageEnd:
        saved = tmp_path / "disk/stage_1/checkpoints/best.ckpt"
        return StageEnd(2, "over", False, last=saved, best=saved, best_value=0.5, before={}, after={})

    (record,) = curriculum(tmp_path / "runs", [1]).run(train)
    assert record.checkpoint == "stage_1/checkpoints/best.ckpt"


@pytest.mark.parametrize(("given", "each"), [(None, [None] * 3), (5, [5] * 3), ([1, 2, 3], [1, 2, 3])])
def test_a_number_of_updates_holds_for_every_stage_and_a_list_for_each(tmp_path: Path, given: Any, each: list[Any]):
    curriculum(tmp_path, max_updates=given).run(script := Script())
    assert [start.max_updates for start in script.starts] == each


def test_what_has_finished_is_not_run_again(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        curriculum(tmp_path).run(Interrupted("2"))
    records = curriculum(tmp_path).run(script := Script(), resumed=True)
    assert [(start.stage, start.interrupted) for start in script.starts] == [("2", True), ("3", False)]
    assert script.starts[0].updates_before == 2
    assert script.starts[0].init_from == tmp_path / "stage_1/checkpoints/best.ckpt"
    assert records == read_stage_records(tmp_path)
    assert [record.stage for record in records] == ["1", "2", "3"]
    curriculum(tmp_path).run(nothing_left := Script(), resumed=True)
    assert nothing_left.starts == []


class Interrupted(Script):
    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def __call__(self, start: StageStart) -> StageEnd:
        if start.stage == self._stage:
            raise KeyboardInterrupt
        return super().__call__(start)


def test_a_collapse_ends_the_curriculum_with_its_best_checkpoint(tmp_path: Path):
    records = curriculum(tmp_path, start_from="last").run(script := Script(collapses="2"))
    assert [start.stage for start in script.starts] == ["1", "2"]
    assert records[-1].checkpoint == "stage_2/checkpoints/best.ckpt"
    with pytest.raises(UserError, match=r"stage 2 collapsed \(it is over\), so that nothing can be continued"):
        curriculum(tmp_path).run(Script(), resumed=True)


def test_a_folder_with_a_record_is_not_written_to_by_another_run(tmp_path: Path):
    curriculum(tmp_path).run(Script())
    with pytest.raises(UserError, match=r"holds the stages\.json of an earlier run: continue it with ckpt_path="):
        curriculum(tmp_path).run(Script())
    with pytest.raises(UserError, match="does not begin with the stages that have finished"):
        curriculum(tmp_path, [2, 3]).run(Script(), resumed=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": []}, r"stages=\[\] must be a list of one or more, .* each once: files of conf/stage"),
        ({"stages": [1, 2, 2]}, r"stages=\[1, 2, 2\] must be a list of one or more"),
        ({"start_from": "first"}, "start_from='first' must be one of best, last"),
        ({"max_updates": 0}, "max_updates=0 must be a whole number of at least 1 or a list"),
        ({"max_updates": [1, 2]}, r"curriculum\.max_updates=\[1, 2\] must be"),
    ],
)
def test_invalid_settings_of_a_curriculum_are_user_errors(tmp_path: Path, settings: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        curriculum(tmp_path, **settings)


def test_a_stage_interrupted_before_its_first_checkpoint_begins_anew_and_leaves_earlier_stages(tmp_path: Path):
    kept, gone = tmp_path / "stage_1/trajectories/val", tmp_path / "stage_2/trajectories"
    for folder, update in ((kept, 20), (gone / "val", 20), (gone / "train", 21)):
        folder.mkdir(parents=True)
        (folder / f"update_{update:06d}.jsonl").touch()
    for stage in ("stage_1", "stage_2"):
        listed = {"files": ["trajectories/train/update_*.jsonl", "trajectories/val/update_*.jsonl"]}
        (tmp_path / stage / "run.json").write_text(json.dumps(listed))
    start = StageStart("2", 2, tmp_path / "stage_2", updates_before=20, interrupted=True)
    assert resume_stage(tmp_path, start) is None
    left = [path for path in tmp_path.rglob("*.jsonl") if "rewound-" not in str(path)]
    assert left == [kept / "update_000020.jsonl"]
    assert (kept / "update_000020.jsonl").is_file()
