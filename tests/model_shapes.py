"""Configurations of published models, written by hand from their model cards: no hub is needed, and no weights.

None of these models has run here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _shape(kind: str, vocabulary: int, hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any):
    return {
        "model_type": kind,
        "architectures": [f"{kind.capitalize()}ForCausalLM"],
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        **more,
    }


# By the choice of `model=`: billions of parameters as its card has them, and the configuration.
SHAPES = {
    "qwen2.5-0.5b": (0.49, _shape("qwen2", 151936, 896, 4864, 24, 14, 2)),
    "qwen2.5-1.5b": (1.54, _shape("qwen2", 151936, 1536, 8960, 28, 12, 2)),
    "qwen2.5-3b": (3.09, _shape("qwen2", 151936, 2048, 11008, 36, 16, 2)),
    "qwen2.5-7b": (7.62, _shape("qwen2", 152064, 3584, 18944, 28, 28, 4, tie_word_embeddings=False)),
    "qwen3-0.6b": (0.60, _shape("qwen3", 151936, 1024, 3072, 28, 16, 8, head_dim=128)),
    "qwen3-1.7b": (1.72, _shape("qwen3", 151936, 2048, 6144, 28, 16, 8, head_dim=128)),
    "qwen3-4b": (4.02, _shape("qwen3", 151936, 2560, 9728, 36, 32, 8, head_dim=128)),
    "llama3.2-1b": (1.24, _shape("llama", 128256, 2048, 8192, 16, 32, 8, head_dim=64)),
    "llama3.2-3b": (3.21, _shape("llama", 128256, 3072, 8192, 28, 24, 8, head_dim=128)),
    "llama3.1-8b": (8.03, _shape("llama", 128256, 4096, 14336, 32, 32, 8, head_dim=128, tie_word_embeddings=False)),
}


def save_shape(choice: str, folder: Path) -> Path:
    """Write the config.json of a choice of `model=`, and nothing else, to ``folder``, and return ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(SHAPES[choice][1]))
    return folder
