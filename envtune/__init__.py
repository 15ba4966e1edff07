"""Environment Tuning (arXiv 2510.10197): train multi-turn tool-use agents by acting in an environment that teaches."""

__version__ = "0.1.0"
