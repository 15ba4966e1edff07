"""What the tests of the embedded model's recipe share."""

from __future__ import annotations

import random

import pytest
from transformers import LlamaConfig

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.task import Split
from tools.tiny_model import dialogues
from tools.tiny_model import tokenizer as tiny_tokenizer


@pytest.fixture(scope="session")
def bfcl_tasks():
    return BFCL(CATEGORIES).tasks(Split.TRAIN)[::67]


@pytest.fixture(scope="session")
def learned_tokenizer(bfcl_tasks, tmp_path_factory):
    learned = tiny_tokenizer.learn(dialogues.tokenizer_texts(bfcl_tasks, 40, random.Random(0)))
    config = LlamaConfig(vocab_size=tiny_tokenizer.VOCABULARY)
    return tiny_tokenizer.as_loaded(learned, config, tmp_path_factory.mktemp("tokenizer"))
