"""GRPO as mathematics: advantages, the clipped loss and the batch they work on. Nothing here holds a model."""
