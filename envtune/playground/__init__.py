"""Generated multi-turn tasks on BFCL's tools, without end and for any seed; see docs/playground.md."""
