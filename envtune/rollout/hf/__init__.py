"""The sampler that shares the trainer's transformers model."""
