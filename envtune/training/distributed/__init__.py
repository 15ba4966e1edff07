"""Runs on several devices: validation and seeds, averaged gradients, and lost ranks."""
