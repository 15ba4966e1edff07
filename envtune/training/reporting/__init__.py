"""Metrics of updates and validations, and where they are logged and printed."""
