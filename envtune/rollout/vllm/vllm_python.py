"""Where vLLM is installed. Its pins contradict those of the trainer's environment, so it has one of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from envtune.errors import UserError

# Relative to the top of a clone; `make vllm` installs it.
VLLM_PYTHON = Path(".venv-vllm-gpu/bin/python")


def require_vllm(purpose: str, alternative: str) -> None:
    """Raise UserError if this Python cannot import vLLM; the sentence names the Python that has it, or how to get one.

    Args:
        purpose: what needs vLLM, such as `rollout=vllm`.
        alternative: what can be done without it, as the end of the sentence.
    """
    if importlib.util.find_spec("vllm") is None:
        where = (
            f"run the command with {VLLM_PYTHON}, which has it"
            if VLLM_PYTHON.exists()
            else f"`make vllm` installs it for {VLLM_PYTHON}, with which to run the command"
        )
        raise UserError(f"{purpose} needs the package vllm, which {sys.executable} lacks: {where}, or {alternative}")
