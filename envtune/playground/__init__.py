"""Generated multi-turn tasks on BFCL's tools, any number for any seed; see docs/playground.md."""
