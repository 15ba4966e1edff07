"""Several processes of one run: which rank this process has, and what the ranks exchange."""
