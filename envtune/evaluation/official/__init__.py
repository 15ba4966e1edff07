"""BFCL's own program (`bfcl-eval`), unmodified: its tasks, its loop and its checker for a policy of ours."""
