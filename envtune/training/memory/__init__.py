"""The memory of an update, measured without its weights."""
