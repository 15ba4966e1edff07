"""Small models of other architectures, with random weights large enough for attention to matter."""

import torch
import transformers

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FULL = ["full_attention"] * 2
HEADS = {"vocab_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 32}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}

# Name: class without its endings, settings.
MODELS = {
    "sinks": ("GptOss", SIZES | EXPERTS | {"head_dim": 8, "layer_types": FULL}),
    "attention_cap": (
        "Gemma2",
        SIZES | {"head_dim": 8, "layer_types": FULL, "attn_logit_softcapping": 2.0, "final_logit_softcapping": None},
    ),
    "both_caps": ("Gemma2", SIZES | {"head_dim": 8, "sliding_window": 8, "final_logit_softcapping": 2.0}),
    "windows": ("Mistral", SIZES | {"sliding_window": 8}),
    "scaled_logits": ("Cohere", SIZES),
    "dropout_without_module": (
        "OPT",
        HEADS | {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.3, "dropout": 0.3, "layerdrop": 0.2},
    ),
    "router_noise": ("Mixtral", SIZES | EXPERTS | {"router_jitter_noise": 0.5}),
    "sampled_experts": ("Phimoe", SIZES | EXPERTS | {"router_jitter_noise": 0.5}),
    "alibi": ("Falcon", HEADS | {"initializer_range": 0.3, "alibi": True}),
    "bloom": ("Bloom", {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}),
    "recurrent": ("Mamba", {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "bidirectional": ("Bert", HEADS | {"intermediate_size": 48, "initializer_range": 0.3, "is_decoder": False}),
    "longrope": (
        "Phi3",
        SIZES
        | {
            "max_position_embeddings": 128,
            "original_max_position_embeddings": 32,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0] * 4,
                "long_factor": [4.0] * 4,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    "dynamic_ntk": (
        "Llama",
        SIZES
        | {
            "max_position_embeddings": 32,
            "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
        },
    ),
}
_CLASSES = {"Bert": "BertLMHeadModel"}


def other_model(name: str, dtype: torch.dtype = torch.float32):
    kind, settings = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    return getattr(transformers, _CLASSES.get(kind, f"{kind}ForCausalLM"))(config).eval().to(dtype)
