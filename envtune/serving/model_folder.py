"""Finds the model folder that tools/serve.py serves, with its prompt settings and end tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from transformers import AutoConfig, GenerationConfig

from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol.named import PROTOCOLS
from envtune.errors import UserError
from envtune.model_path import require_weights
from envtune.remote_code import require_trust
from envtune.rollout.inference import end_tokens
from envtune.training.model.export import Trained, export, find_trained, run_settings
from envtune.training.run_folder.trained_protocol import protocol_of_folder


@dataclass(frozen=True, slots=True)
class Prompting:
    """Prompt settings of a policy. The defaults are those of stages 3 and 4 in conf/."""

    tool_documents: str = "full"
    instructions: str = "long"
    max_observation_tokens: int | None = 4096
    """Longer observations lose their middle; None sets no limit."""
    max_completion_tokens: int = 2048
    thinking: Literal["on", "off"] | None = None
    """Position of the chat template's own switch. None leaves it alone: the template of a folder that was exported from
    a run with a switch has no switch, and writes what was trained."""
    protocol: str = "environment_tuning"
    """The format of responses: a name of ``protocol=``, or the class of a user's own."""

    @property
    def style(self) -> PromptStyle:
        """The style of the system prompt."""
        return PromptStyle(self.tool_documents, self.instructions, self.thinking)

    def __str__(self) -> str:
        return ", ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model folder with the properties that the endpoint needs."""

    folder: str
    """Path, or the name of a model on the hub."""
    prompting: Prompting
    window: int | None
    """Context length in tokens; None if the config does not set it."""
    vocabulary: int
    """Number of embeddings."""
    end_ids: frozenset[int]
    """Tokens that end a completion."""


def find_model(
    given: str, chosen: Mapping[str, Any], staged: Path, model: str | None, dtype: str, trust_remote_code: bool
) -> ServedModel:
    """Return the model to serve; write the weights of a run or checkpoint to a model folder first.

    Args:
        given: A model folder, a hub name, or a run, stage or .ckpt file as `init_from` takes it.
        chosen: Fields of `Prompting` that the user set. The others are the run's, or the defaults for a model folder.
        staged: The folder to write the weights of a run to.
        model: Replaces the path of the trained model that the run recorded.
        dtype: Of the written weights: bfloat16, or float32 for any other value.
        trust_remote_code: Whether Python code that comes with the model may run.

    Raises:
        UserError: There is no such model, run or checkpoint, or it cannot be read.
    """
    prompting, folder = Prompting(), given
    if Path(given).exists() and not (Path(given) / "config.json").is_file():
        trained = find_trained(given, model, trust_remote_code)
        export(trained, staged, "bfloat16" if dtype == "bfloat16" else "float32")
        prompting, folder = _prompting_of(trained), str(staged)
    require_weights(folder)
    recorded = protocol_of_folder(folder)
    if recorded is not None and "protocol" not in chosen:
        if recorded not in PROTOCOLS:
            raise UserError(f"{given} was trained with {recorded}, which is code of yours: add --protocol {recorded}")
        prompting = replace(prompting, protocol=recorded)
    window, vocabulary, end_ids = _facts_of(folder, trust_remote_code)
    return ServedModel(folder, replace(prompting, **chosen), window, vocabulary, end_ids)


def _prompting_of(trained: Trained) -> Prompting:
    """Return the prompt settings that the run of a checkpoint recorded."""
    record, settings = trained.checkpoint.parent.parent / "run.json", run_settings(trained.checkpoint)
    prompt, rollout = settings.get("prompt", {}), settings.get("rollout", {})
    found: dict[str, Any] = {
        "tool_documents": prompt.get("tool_documents"),
        "instructions": prompt.get("instructions"),
        "max_completion_tokens": rollout.get("max_completion_tokens"),
    }
    if None in found.values() or "max_observation_tokens" not in rollout.get("template", {}):
        raise UserError(
            f"{record} lacks the prompt settings of {trained.checkpoint}: write its weights to a folder with "
            "tools/export_model.py, and serve that with --tool-documents, --instructions, --max-observation-tokens and "
            "--max-completion-tokens"
        )
    return Prompting(max_observation_tokens=rollout["template"]["max_observation_tokens"], **found)


def _facts_of(folder: str, trust_remote_code: bool) -> tuple[int | None, int, frozenset[int]]:
    """Return context length, number of embeddings and end tokens of a model folder or hub name."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        require_trust(folder, error)
        raise UserError(
            f"{folder} is not a readable model folder, hub name or run ({str(error).strip().splitlines()[0]}): give "
            "runs/<time>, a .ckpt file, or the folder of a causal language model"
        ) from error
    try:
        generation = GenerationConfig.from_pretrained(folder)
    except OSError:
        # The file is optional; the config contains an end token as well.
        generation = None
    ends: Any = SimpleNamespace(config=config, generation_config=generation)
    text = config.get_text_config()
    return getattr(text, "max_position_embeddings", None), text.vocab_size, end_tokens(ends)
