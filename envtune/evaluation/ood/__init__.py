"""Scores out of distribution: benchmarks played by third-party harnesses, a record of each, and tables of several."""
