"""Hint tables of BFCL's tool classes, one file each."""
