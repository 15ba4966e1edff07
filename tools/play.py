"""Be the agent, in a clone: `python tools/play.py environment=module environment.module=library`."""

from __future__ import annotations

import envtune.process_start

from envtune.commands.play import play

if __name__ == "__main__":
    play()
