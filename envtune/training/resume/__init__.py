"""Ending a run on a signal, and resuming it from its newest checkpoint."""
