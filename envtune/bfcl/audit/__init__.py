"""An automatic audit for tasks that cannot be passed as offered or whose ground truth is defective.

The audit plays the ground truth and compares each call with the texts that an agent could have read before it. It
compares texts, numbers and verdicts and not meanings, so a task that is not on the list is not proven sound;
docs/audit.md lists the limits.
"""
