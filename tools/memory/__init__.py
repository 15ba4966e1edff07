"""What a training run holds in memory, estimated without its weights: `python -m tools.memory.estimate`."""
