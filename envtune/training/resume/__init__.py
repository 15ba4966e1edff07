"""How a run ends on a signal, and how it continues from its newest checkpoint."""
