"""Stages of a curriculum: their order, when a stage ends, and which checkpoint the next stage starts from."""
