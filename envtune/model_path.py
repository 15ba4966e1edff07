"""Checks that a model path names a folder with a model, or a model on the Hugging Face hub: one short request."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from envtune.errors import UserError

HUB_SECONDS = 10.0
"""Limit on the one request to the hub. transformers repeats requests for half a minute where there is no network."""
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_WEIGHTS = ("*.safetensors", "*.bin", "*.index.json")
# Folders that a command of this project prepares, relative to the working folder: the paths of choices of `model=`.
_PREPARED = {"models/smollm2-135m": "make pretrained"}
_GIVE = "give the folder of a causal language model or its name on the Hugging Face hub"


def require_model(path: str) -> None:
    """Raise UserError if ``path`` is neither the folder of a model nor the name of one on the Hugging Face hub."""
    place = Path(path)
    if place.is_file():
        raise UserError(_gguf(path) if place.suffix == ".gguf" else f"model path {path} is a file; {_GIVE}")
    if place.is_dir():
        if not (place / "config.json").is_file():
            raise UserError(_without_config(place))
    elif path in _PREPARED:
        raise UserError(f"model.path={path} does not exist yet: `{_PREPARED[path]}` in a clone of envtune prepares it")
    elif _is_local(path):
        raise UserError(f"model path {path} does not exist: {_GIVE}")
    else:
        _require_on_hub(path)


def require_weights(path: str) -> None:
    """Raise UserError if there is no model at ``path`` (`require_model`), or if its folder lacks weights."""
    require_model(path)
    place = Path(path)
    if place.is_dir() and not any(any(place.glob(pattern)) for pattern in _WEIGHTS):
        if any(place.glob("*.gguf")):
            raise UserError(_gguf(path))
        raise UserError(
            f"model path {path} holds no weights (model.safetensors): copy or download the model again, or {_GIVE}"
        )


def _without_config(folder: Path) -> str:
    if any(folder.glob("*.gguf")):
        return _gguf(str(folder))
    if (folder / "run.json").is_file() or any(folder.glob("*.ckpt")):
        return (
            f"model path {folder} is the folder of a run: give it as init_from, with the model that the run trained as "
            f"model.path, or write a model folder of it (python tools/export_model.py {folder} FOLDER)"
        )
    return f"model path {folder} is not a folder with a config.json; {_GIVE}"


def _gguf(path: str) -> str:
    return (
        f"model path {path} has its weights in the format GGUF, which cannot be trained: convert them once, with "
        "AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=FILE).save_pretrained(NEW) of transformers, which "
        f"needs the package gguf, and the tokenizer in the same way; or {_GIVE}"
    )


def _is_local(path: str) -> bool:
    """Return whether ``path``, which does not exist, can only be meant as a path on this machine.

    A hub name has at most one slash. Beside a folder of its first part it is ambiguous only if models lie in there.
    """
    parent = Path(path).parent
    in_folder = parent != Path() and parent.is_dir() and not any(parent.glob("*/config.json"))
    return not _HUB_NAME.fullmatch(path) or in_folder


@cache
def _require_on_hub(name: str) -> None:
    # Here, because the import takes a second, which a path on this machine spares.
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    neither = f"model path {name} is not a folder here, and"
    if constants.is_offline_mode():
        raise UserError(
            f"{neither} the Hugging Face hub is not asked in offline mode (HF_HUB_OFFLINE=1), where only downloaded "
            f"models can be used: {_GIVE}"
        )
    try:
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except GatedRepoError:
        # The download that follows names the page where access is granted.
        return
    except RepositoryNotFoundError as error:
        raise UserError(f"{neither} the Hugging Face hub has no model of that name: {_GIVE}") from error
    except HfHubHTTPError as error:
        raise UserError(f"{neither} the Hugging Face hub answers with an error ({_line(error)}): {_GIVE}") from error
    # Errors of the connection are those of the hub's HTTP client, whose package is an implementation detail.
    except Exception as error:
        raise UserError(f"{neither} the Hugging Face hub cannot be reached ({_line(error)}): {_GIVE}") from error


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".:")
