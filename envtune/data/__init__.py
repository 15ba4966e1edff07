"""Benchmark files -> tasks, and which tasks are on which side."""
