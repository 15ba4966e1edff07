"""What the tests of the embedded model's recipe share."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from transformers import LlamaConfig

from envtune.data.bfcl import BFCL, CATEGORIES
from envtune.task import Split

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import tiny_dialogues as dialogues  # noqa: E402
import tiny_tokenizer  # noqa: E402


@pytest.fixture(scope="session")
def bfcl_tasks():
    return BFCL(CATEGORIES).tasks(Split.TRAIN)[::67]


@pytest.fixture(scope="session")
def learned_tokenizer(bfcl_tasks, tmp_path_factory):
    learned = tiny_tokenizer.learn(dialogues.tokenizer_texts(bfcl_tasks, 40, random.Random(0)))
    config = LlamaConfig(vocab_size=tiny_tokenizer.VOCABULARY)
    return tiny_tokenizer.as_loaded(learned, config, tmp_path_factory.mktemp("tokenizer"))
