"""Parquet files with verl's rows (`envtune.bfcl.verl.verl_row`).

pyarrow is an optional dependency, imported when a file is read or written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file


class ParquetFileError(UserError):
    """A parquet file cannot be read, or a row is not a valid task. The message has the file, row and fault."""


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows to ``path`` atomically.

    Raises:
        WriteError: the file cannot be written.
        UserError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    table = pyarrow.Table.from_pylist(rows, schema=_schema(pyarrow))
    with atomic_file(path, "wb") as file:
        parquet.write_table(table, file)


def read_extra_info(path: Path) -> list[dict[str, Any] | None]:
    """Return the column ``extra_info``, which has everything that a task needs; None for a row without it.

    Raises:
        ParquetFileError: the file cannot be read or does not have the column.
        UserError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    if not path.is_file():
        raise ParquetFileError(f"{path} does not exist: write it with tools/prepare_data.py, or set data.path")
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            if "extra_info" not in schema.names or not pyarrow.types.is_struct(schema.field("extra_info").type):
                raise ParquetFileError(
                    f"{path} has no struct column extra_info, which verl's rows have; its columns are "
                    f"{', '.join(schema.names) or 'none'}"
                )
            rows: list[dict[str, Any] | None] = file.read(columns=["extra_info"])["extra_info"].to_pylist()
            return rows
    except (OSError, pyarrow.ArrowException) as error:
        raise ParquetFileError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from None


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            "parquet files need pyarrow, which comes with pip install -c constraints.txt -e '.[parquet]'"
        ) from None
    return pyarrow, pyarrow.parquet


def _schema(pyarrow: Any) -> Any:
    """Return the explicit schema, because the type of a column of empty lists cannot be inferred."""
    text = pyarrow.string()
    messages = pyarrow.list_(pyarrow.struct({"role": text, "content": text}))
    calls = pyarrow.list_(pyarrow.list_(text))
    kwargs = {
        **dict.fromkeys(("name", "id", "initial_config"), text),
        "involved_classes": pyarrow.list_(text),
        "ground_truth": calls,
        "processed_question": pyarrow.list_(text),
        "question": pyarrow.list_(messages),
    }
    extra_info = dict.fromkeys(("split", "index", "original_id", "dataset_type"), text)
    return pyarrow.schema(
        {
            "data_source": text,
            "prompt": messages,
            "ability": text,
            "reward_model": pyarrow.struct({"style": text, "ground_truth": calls}),
            "extra_info": pyarrow.struct({**extra_info, "interaction_kwargs": pyarrow.struct(kwargs)}),
        }
    )
