"""Estimates of a training run's memory without its weights: `python -m tools.memory.estimate`."""
