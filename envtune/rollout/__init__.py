"""Playing episodes: generators that sample completions, and the collector that steps episodes with them."""
