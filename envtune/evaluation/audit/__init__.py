"""Finding, by program, tasks that cannot be passed as offered or whose ground truth is defective. Scores nothing.

Every finder plays the ground truth and compares it with what an agent could have read before each call. It knows
texts, numbers and verdicts, and no meaning: what docs/audit.md lists as limits is not found. A task that is not on
the list is therefore not proven sound.
"""
