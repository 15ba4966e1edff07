"""Playing and judging episodes: tools and their limits, augmentation, verdicts. Facts only, no scores."""
