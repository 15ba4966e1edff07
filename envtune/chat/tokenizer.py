"""Loading of tokenizers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from envtune.errors import UserError
from envtune.prepared_model import require_prepared
from envtune.remote_code import require_trust

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def load_tokenizer(path: str, trust_remote_code: bool = False) -> Any:
    """Return the fast tokenizer of a model folder or hub name.

    Raises:
        UserError: the tokenizer does not exist or cannot be read.
    """
    require_prepared(path)
    if not Path(path).is_dir() and not _HUB_NAME.fullmatch(path):
        raise UserError(
            f"model.path={path} does not exist: give the folder of a causal language model, or its name on the Hugging "
            "Face hub"
        )
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    # For a fault in a file, the tokenizers library raises plain Exception.
    except Exception as error:
        require_trust(path, error)
        kind = "folder" if Path(path).exists() else "folder or cached hub model"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"model.path={path} is not a {kind} with a readable tokenizer ({reason}): give the folder of a causal "
            "language model with its tokenizer, or its name on the Hugging Face hub"
        ) from error
