"""The console scripts of an installation, one file each: `envtune-train` and `envtune-evaluate`."""
