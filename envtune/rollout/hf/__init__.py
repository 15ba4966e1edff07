"""The sampler that shares the trainer's own transformers model."""
