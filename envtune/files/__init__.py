"""Files on the disk: written whole or not at all, validated where they are read."""
