"""Cloning: supervised training on the ground truths of tasks, played and rendered as the policy's own episodes are."""
