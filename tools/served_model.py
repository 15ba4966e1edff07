"""What tools/serve.py serves: a model folder, how the policy in it is prompted, and where its completions end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from export_model import Trained, export, find_trained, run_settings
from transformers import AutoConfig, GenerationConfig

from envtune.chat.prompt import PromptStyle
from envtune.errors import UserError
from envtune.remote_code import require_trust
from envtune.rollout.end_tokens import end_tokens


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a policy is prompted; as conf/ has it for stages 3 and 4, if nothing else is known. Lengths in tokens."""

    tool_documents: str = "full"
    instructions: str = "long"
    max_observation_tokens: int | None = 4096
    max_completion_tokens: int = 2048

    @property
    def style(self) -> PromptStyle:
        return PromptStyle(self.tool_documents, self.instructions)

    def __str__(self) -> str:
        return ", ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model folder (or the name of one on the hub). ``window`` in tokens, None if the folder does not say;
    ``vocabulary`` is the number of its embeddings."""

    folder: str
    prompting: Prompting
    window: int | None
    vocabulary: int
    end_ids: frozenset[int]


def find_model(
    given: str, chosen: Mapping[str, Any], staged: Path, model: str | None, dtype: str, trust_remote_code: bool
) -> ServedModel:
    """``given`` is a model folder or hub name, or what `init_from` takes: its weights are then written to ``staged``.

    ``chosen`` are the fields of Prompting to which the user gave a value; the others are those of the run. ``model``
    stands in for the path of the trained model that the run has recorded.

    Raises:
        UserError: there is no such model, run or checkpoint, or it cannot be read.
    """
    prompting, folder = Prompting(), given
    if Path(given).exists() and not (Path(given) / "config.json").is_file():
        trained = find_trained(given, model, trust_remote_code)
        export(trained, staged, "bfloat16" if dtype == "bfloat16" else "float32")
        prompting, folder = _prompting_of(trained), str(staged)
    window, vocabulary, end_ids = _facts_of(folder, trust_remote_code)
    return ServedModel(folder, replace(prompting, **chosen), window, vocabulary, end_ids)


def _prompting_of(trained: Trained) -> Prompting:
    """As the run of a checkpoint prompted its policy."""
    record, settings = trained.checkpoint.parent.parent / "run.json", run_settings(trained.checkpoint)
    prompt, rollout = settings.get("prompt", {}), settings.get("rollout", {})
    found: dict[str, Any] = {
        "tool_documents": prompt.get("tool_documents"),
        "instructions": prompt.get("instructions"),
        "max_completion_tokens": rollout.get("max_completion_tokens"),
    }
    if None in found.values() or "max_observation_tokens" not in rollout.get("template", {}):
        raise UserError(
            f"{record} does not say how the policy of {trained.checkpoint} was prompted: write its weights to a "
            "folder with tools/export_model.py, and serve that with --tool-documents, --instructions, "
            "--max-observation-tokens and --max-completion-tokens"
        )
    return Prompting(max_observation_tokens=rollout["template"]["max_observation_tokens"], **found)


def _facts_of(folder: str, trust_remote_code: bool) -> tuple[int | None, int, frozenset[int]]:
    """Window, vocabulary and end tokens."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        require_trust(folder, error)
        raise UserError(
            f"{folder} is no model folder, hub name or run that can be read ({str(error).strip().splitlines()[0]}): "
            "give runs/<time>, a .ckpt file, or the folder of a causal language model"
        ) from error
    try:
        generation = GenerationConfig.from_pretrained(folder)
    except OSError:
        # It is optional; the config names an end token too.
        generation = None
    ends: Any = SimpleNamespace(config=config, generation_config=generation)
    text = config.get_text_config()
    return getattr(text, "max_position_embeddings", None), text.vocab_size, end_tokens(ends)
