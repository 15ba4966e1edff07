"""The mathematics of GRPO: advantages, the clipped loss, and their batch. Runs no model."""
