"""Evaluation of a policy: episodes, scores with confidence intervals, third-party harnesses, audits and sweeps."""
