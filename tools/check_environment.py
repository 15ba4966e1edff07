"""Check an environment: `python tools/check_environment.py environment=module environment.module=library`."""

from __future__ import annotations

import envtune.process_start

from envtune.command_line.environment_check import main as check_environment

if __name__ == "__main__":
    check_environment()
