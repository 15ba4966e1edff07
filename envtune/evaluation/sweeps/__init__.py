"""Sweeps of training runs: reading their folders by setting and seed, and plotting them."""
