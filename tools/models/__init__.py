"""Sweep over the causal language models of transformers: `python -m tools.models`; results in docs/models.md."""
