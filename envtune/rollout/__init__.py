"""Rollouts: generators sample completions, and the collector steps episodes with them."""
