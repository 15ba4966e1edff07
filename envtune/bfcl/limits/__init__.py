"""Limits of single BFCL tools, and on what the calls of an episode add to BFCL's worlds."""
