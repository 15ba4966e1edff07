"""One episode: the tools and their bounds, the checker, augmentation, and the episode itself. Facts, never scores."""
