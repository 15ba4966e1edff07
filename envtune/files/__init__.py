"""Files on disk: written atomically, validated where they are read."""
