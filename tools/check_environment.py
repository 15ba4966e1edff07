"""Check an environment, in a clone: `python tools/check_environment.py environment=module environment.module=NAME`."""

from __future__ import annotations

import envtune.process_start

from envtune.commands.check_environment import check_environment

if __name__ == "__main__":
    check_environment()
