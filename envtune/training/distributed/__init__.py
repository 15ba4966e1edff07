"""Several devices: what a run needs before it begins, the average of gradients, and lost ranks."""
