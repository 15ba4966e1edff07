"""The sizes of a tiny model, by the names of configuration fields, and what single architectures need beside them.

Data alone; `shrunk.py` reads it.
"""

from __future__ import annotations

from typing import Any

_FIELDS: tuple[tuple[int | float | bool, str], ...] = (
    (
        64,
        "vocab_size hidden_size d_model n_embd dim n_embed word_embed_proj_dim embedding_size attention_hidden_size "
        "backbone_hidden_size decoder_vocab_size unpadded_vocab_size "
        "vocab_size_per_layer_input output_embedding_size encoder_hash_byte_group_vocab",
    ),
    (
        96,
        "intermediate_size ffn_dim d_ff dim_ff dff d_inner n_inner ffn_hidden_size decoder_ffn_dim encoder_ffn_dim "
        "intermediate_size_mlp dense_intermediate_size prefix_dense_intermediate_size",
    ),
    (
        32,
        "moe_intermediate_size shared_expert_intermediate_size shared_intermediate_size expert_ffn_hidden_size "
        "shared_experts_intermediate_size moe_shared_expert_intermediate_size num_buckets "
        "relative_attention_num_buckets dim_model_base attention_head_dim",
    ),
    (
        2,
        "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers num_decoder_layers "
        "num_key_value_heads num_encoder_layers num_kv_heads num_experts_per_tok num_experts_per_token moe_topk moe_k "
        "top_k_experts swa_num_key_value_heads n_mamba_heads hc_mult num_layers_per_stack",
    ),
    (
        4,
        "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads "
        "num_decoder_attention_heads num_encoder_attention_heads num_experts n_routed_experts num_local_experts "
        "moe_num_experts index_n_heads linear_num_heads linear_num_value_heads linear_num_key_heads "
        "swa_num_attention_heads rotary_dim o_groups n_groups mamba_n_groups zero_expert_num index_block_size",
    ),
    (
        16,
        "head_dim kv_channels dim_head qk_nope_head_dim qk_rope_head_dim v_head_dim kv_lora_rank q_lora_rank "
        "index_head_dim linear_head_dim linear_key_head_dim linear_value_head_dim swa_head_dim swa_v_head_dim "
        "mamba_d_head hidden_size_per_layer_input laurel_rank state_size mamba_d_state ssm_state_size mamba_head_dim "
        "time_step_rank mamba_dt_rank o_lora_rank d_rel gated_norm_rank moe_latent_size block_multiple_of "
        "attention_window_size rel_extent query_pre_attn_scalar chunk_size mamba_chunk_size",
    ),
    (
        8,
        "sliding_window sliding_window_size window_size local_attention attention_chunk_size mamba_n_heads "
        "mamba_num_heads index_topk keep_window_size floor_scale block_size",
    ),
    (
        1,
        "n_group topk_group num_expert_group n_shared_experts num_shared_experts moe_num_shared_experts "
        "first_k_dense_replace num_dense_layers index_topk_blocks index_local_blocks num_nextn_predict_layers "
        "eos_token_id moe_layer_start_index",
    ),
    (256, "max_position_embeddings n_positions n_ctx max_seq_len max_sequence_length model_max_length"),
    (
        3,
        "bos_token_id decoder_start_token_id forced_eos_token_id sep_token_id cls_token_id image_token_id "
        "video_token_id audio_token_id image_token_index eod_token_id",
    ),
    (0, "pad_token_id num_kv_shared_layers"),
    (True, "is_decoder"),
    # Small enough that the cap is seen.
    (4.0, "final_logit_softcapping attn_logit_softcapping"),
)
SIZES: dict[str, Any] = {name: size for size, names in _FIELDS for name in names.split()}

# By model type: what differs from `SIZES`, or has no default from which its kind could be seen.
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
            "full_attention": None,
        },
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_text": {"per_layer_config": None, "swa_head_dim": 32},
    "falcon_h1": {"mamba_d_ssm": 128},
    "gemma3n_text": {"intermediate_size": [96, 96]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 16},
    "nemotron": {"head_dim": 16, "num_key_value_heads": 2},
    "qwen4_exp_text": {
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
        "hc_lowrank": 16,
    },
    "reformer": {"axial_pos_embds_dim": (16, 48), "axial_pos_shape": (16, 16)},
    "roc_bert": {"shape_vocab_size": 64, "pronunciation_vocab_size": 64},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "attention_hidden_size": 128,
        "num_hidden_layers": 6,
        "layers_block_type": ["linear_attention", "hybrid"] * 3,
    },
    "zamba2": {
        "num_hidden_layers": 6,
        "layers_block_type": ["linear_attention", "hybrid"] * 3,
        "attention_hidden_size": 128,
        "mamba_headdim": 16,
        "n_mamba_heads": 8,
    },
    "zaya": {"num_experts_per_tok": 1},
}

# Beside the architectures in their default form: (name of the row, model type, fields).
VARIANTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "llama, dynamic RoPE",
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}, "max_position_embeddings": 16},
    ),
    (
        "llama, YaRN",
        "llama",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    ("llama, dropout 0.1", "llama", {"attention_dropout": 0.1}),
    (
        "phi3, longrope",
        "phi3",
        {
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 1e4,
                "short_factor": [1.0] * 8,
                "long_factor": [4.0] * 8,
            },
            "original_max_position_embeddings": 16,
        },
    ),
    ("mixtral, router jitter", "mixtral", {"router_jitter_noise": 0.1}),
    ("gpt_oss, full attention", "gpt_oss", {"layer_types": ["full_attention"] * 2}),
    ("gemma2, attention cap alone", "gemma2", {"layer_types": ["full_attention"] * 2, "final_logit_softcapping": None}),
    ("qwen2, sliding window", "qwen2", {"use_sliding_window": True, "max_window_layers": 1}),
    ("mistral, full attention", "mistral", {"sliding_window": None}),
)
