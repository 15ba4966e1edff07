"""The weights: load, adapt (LoRA), shard (FSDP), compute log-probs and entropies, save and export."""
