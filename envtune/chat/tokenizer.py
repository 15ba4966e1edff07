"""The tokenizer of a model folder or hub name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from envtune.errors import UserError
from envtune.remote_code import require_trust

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def load_tokenizer(path: str, trust_remote_code: bool = False) -> Any:
    """The fast tokenizer that belongs to the model ``path``.

    Raises:
        UserError: there is none that can be read.
    """
    if not Path(path).is_dir() and not _HUB_NAME.fullmatch(path):
        raise UserError(
            f"model.path={path} does not exist: give the folder of a causal language model, or its name on the Hugging "
            "Face hub"
        )
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    # The files come from outside, and for a fault in one the tokenizers library raises Exception itself.
    except Exception as error:
        require_trust(path, error)
        kind = "folder" if Path(path).exists() else "folder or cached hub model"
        raise UserError(
            f"model.path={path} is no {kind} with a readable tokenizer ({_first_line(error)}): give the folder of a "
            "causal language model with its tokenizer, or its name on the Hugging Face hub"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
