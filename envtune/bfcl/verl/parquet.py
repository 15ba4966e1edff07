"""A source of tasks from the method's parquet files with verl's rows (see `envtune.bfcl.verl.verl_row`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from envtune.bfcl.audit.shipped_list import listed_tasks
from envtune.bfcl.benchmark import Categories, load_bfcl_tasks
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.split import draw_of_categories
from envtune.bfcl.verl.verl_file import ParquetFileError, read_extra_info
from envtune.bfcl.verl.verl_row import id_of_row, task_of_row
from envtune.checked import Among, checked
from envtune.environment.selected_tasks import MaxTasks, ValidationSize
from envtune.errors import UserError
from envtune.task import Split, Task, require_split

CONTENTS = ("row", "package")


@checked
class ParquetTasks:
    """The tasks of a folder with one file each for training, validation and test.

    Prompts in the files are not read: `conf/prompt` defines the agent's instructions. A file is read when its tasks are
    first needed. The test split is the whole of its file.

    Args:
        path: the folder.
        train_file: the name of the training file.
        val_file: the name of the validation file.
        test_file: the name of the test file.
        contents: ``row`` to take messages, worlds, tool classes and ground truth from the row, and tool documents and
            withheld tools from the installed BFCL package; ``package`` to take all from the package, by the row's id.
        categories: the categories of training tasks; None for all four.
        val_categories: the categories of validation tasks; None for all four.
        max_tasks: the number of training tasks, drawn evenly over ``categories``; None for all.
        val_size: the number of validation tasks, drawn evenly over ``val_categories``; None for all.
        seed: the seed of the draws.
    """

    def __init__(
        self,
        path: str,
        train_file: str = "bfcl_train.parquet",
        val_file: str = "bfcl_val.parquet",
        test_file: str = "bfcl_test.parquet",
        contents: Annotated[str, Among(CONTENTS)] = "row",
        categories: Categories | None = None,
        val_categories: Categories | None = None,
        max_tasks: MaxTasks = None,
        val_size: ValidationSize | None = None,
        seed: int = 0,
    ) -> None:
        self._contents, self._seed = contents, seed
        folder = Path(path)
        self._paths = {Split.TRAIN: folder / train_file, Split.VAL: folder / val_file, Split.TEST: folder / test_file}
        self._categories = {
            Split.TRAIN: tuple(map(Category, CATEGORIES if categories is None else categories)),
            Split.VAL: tuple(map(Category, CATEGORIES if val_categories is None else val_categories)),
            Split.TEST: tuple(Category),
        }
        self._sizes = {Split.TRAIN: ("data.max_tasks", max_tasks), Split.VAL: ("data.val_size", val_size)}
        self._tasks: dict[Split, tuple[Task, ...]] = {}

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """Return the tasks of one split, in the order of its file.

        Raises:
            UserError: the split is unknown, or a held-out task is in the training file.
            ParquetFileError: a file cannot be read, or a row is not a valid task of the package.
        """
        split = require_split(split)
        of_categories = [task for task in self._in_file(split) if task.group in self._categories[split]]
        setting, size = self._sizes.get(split, ("", None))
        if size is None:
            return tuple(of_categories)
        ids = [task.id for task in of_categories]
        drawn = set(draw_of_categories(ids, self._categories[split], size, self._seed, setting))
        return tuple(task for task in of_categories if task.id in drawn)

    def describe(self) -> dict[str, Any]:
        """Return the version, files and tasks that scores must share to be comparable."""
        train, validation = self.tasks(Split.TRAIN), self.tasks(Split.VAL)
        return {
            "benchmark": "bfcl multi-turn",
            "package": f"bfcl-eval {version('bfcl-eval')}",
            "categories": [str(category) for category in self._categories[Split.TRAIN]],
            "contents": self._contents,
            "sha256": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (self._paths[Split.TRAIN], self._paths[Split.VAL])
            },
            "training_tasks": [task.id for task in train],
            "validation_tasks": [task.id for task in validation],
        }

    def left_out(self) -> frozenset[str]:
        """Return the ids on the shipped list of defective tasks."""
        return listed_tasks()

    def _in_file(self, split: Split) -> tuple[Task, ...]:
        if split not in self._tasks:
            tasks = tuple(self._read(self._paths[split]))
            if split is not Split.TRAIN:
                self._check_held_out(tasks, self._paths[split])
            self._tasks[split] = tasks
        return self._tasks[split]

    @cached_property
    def _packaged(self) -> dict[str, Task]:
        return {task.id: task for task in load_bfcl_tasks()}

    def _read(self, path: Path) -> Iterator[Task]:
        rows: dict[str, int] = {}
        for number, extra_info in enumerate(read_extra_info(path), start=1):
            try:
                name = id_of_row(extra_info)
                if name not in self._packaged:
                    raise ValueError(f"original_id {name!r} is not a multi-turn task of the installed bfcl-eval")
                if name in rows:
                    raise ValueError(f"{name} stands in row {rows[name]} too; leave one of them out")
                yield self._task(name, extra_info)
            except ValueError as error:
                raise ParquetFileError(f"{path}, row {number}: {error}") from None
            rows[name] = number

    def _task(self, name: str, extra_info: Mapping[str, Any] | None) -> Task:
        if self._contents == "package":
            return self._packaged[name]
        try:
            return task_of_row(extra_info, self._packaged[name])
        except ValueError as error:
            raise ValueError(f"{error}; data.contents=package takes each task from the package by its id") from None

    def _check_held_out(self, tasks: Sequence[Task], path: Path) -> None:
        trained = {task.id for task in self._in_file(Split.TRAIN)}
        common = [task.id for task in tasks if task.id in trained]
        if common:
            raise UserError(
                f"{len(common)} tasks of {path}, the first of them {common[0]}, are in {self._paths[Split.TRAIN]} too: "
                "take them out of one of the files"
            )
