"""Stages: their order, when one is over, and which checkpoint it hands to the next."""
