"""From a command line to a checked config and the program that runs it. Hydra is used in this package alone."""
