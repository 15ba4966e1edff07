"""Confidence intervals of means, paired differences and means over seeds. Pure functions of numbers."""
