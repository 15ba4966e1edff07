"""What a run's folder holds: checkpoints, the record of the run, metrics, and which files are the run's own."""
