"""BFCL's own program (`bfcl-eval`, unmodified) as a second evaluation: its tasks, episode loop and checker."""
