"""Shape annotations are checked whenever the tests run what has them; slow parts of several files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import envtune.process_start

import pytest
import shape_checks  # noqa: F401
from installed_wheel import built, installed  # noqa: F401 - fixtures

# A machine that is busy with something else takes longer over an example than the 200 ms that Hypothesis grants it.
# The environment of tests/real_vllm does without Hypothesis.
with suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-scenarios", action="store_true", help="tests/parity compares all 200 scenarios, not ten")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that is run inside a test has Hydra configure the log of the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The toy world's tokenizer."""
    from toy_world import toy_tokenizer

    return toy_tokenizer()


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A model folder: the toy world's random model and its tokenizer."""
    from toy_world import toy_model

    folder = tmp_path_factory.mktemp("toy_model")
    toy_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
