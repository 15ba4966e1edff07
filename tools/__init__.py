"""Commands, one file each, and the packages of those that need several files."""
