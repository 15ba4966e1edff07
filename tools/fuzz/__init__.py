"""Fuzzers. Each program prints counts of outcomes and exits with 1 if an outcome is not acceptable.

    python -m tools.fuzz.environment   # plays BFCL tasks with correct, careless and hostile responses
    python -m tools.fuzz.checkpoint    # damages a checkpoint and counts which damages are detected

`responses` generates the responses that `environment` plays.
"""
