"""A check for the packages of the extra `serve`."""

from __future__ import annotations

import importlib.util

MODULES = ("httpx2", "starlette", "uvicorn")


def require_extra(tool: str) -> None:
    """Exit with an error message of the program ``tool`` if a package is missing. Call it before importing them."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"{tool}: {' and '.join(missing)} not installed: pip install -e '.[serve]'")
