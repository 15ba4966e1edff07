"""What happens around the updates: weights to the generator, trajectories to disk, numbers to the person watching."""
