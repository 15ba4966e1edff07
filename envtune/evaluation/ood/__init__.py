"""Scores of other people's harnesses: reading what they wrote, a record of each, and tables of several. Runs none."""
