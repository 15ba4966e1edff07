"""The versions of `make vllm` satisfy envtune and vLLM, whose own pins the trainer's environment contradicts."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# Of vLLM 0.33.0's metadata.
OF_VLLM = ("torch==2.14.0", "transformers>=5.16.1,<5.21.0", "tokenizers>=0.23.2", "pydantic>=2.12.0")


def pins(path: str) -> dict[str, str]:
    lines = [line.split("#")[0].split(";")[0].strip() for line in (ROOT / path).read_text().splitlines()]
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines if line)}


def refused(found: dict[str, str], needed: list[Requirement]) -> list[str]:
    """Return the requirements that have no pin, or one outside of their range."""
    return [str(need) for need in needed if need.name not in found or not need.specifier.contains(found[need.name])]


def test_every_requirement_of_envtune_has_a_pin_in_its_range():
    needed = [Requirement(text) for text in requires("envtune") or ()]
    assert refused(pins("tools/vllm_constraints.txt"), [need for need in needed if not need.marker]) == []


def test_the_pins_are_those_of_vllm_and_the_trainers_are_not():
    needed = [Requirement(text) for text in OF_VLLM]
    assert refused(pins("tools/vllm_constraints.txt"), needed) == []
    assert pins("tools/vllm_constraints.txt")["vllm"] == "0.33.0"
    assert [Requirement(text).name for text in refused(pins("constraints.txt"), needed)] == ["torch", "transformers"]
