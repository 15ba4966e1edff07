"""Measuring a policy: which episodes are played, what they score, and how sure the scores are. Trains nothing."""
