"""Whether the extra `serve` is installed, which everything else here needs."""

from __future__ import annotations

import importlib.util

MODULES = ("httpx2", "starlette", "uvicorn")


def require_extra(tool: str) -> None:
    """Ends the program ``tool`` in a sentence if a package is missing. To be called before they are imported."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"{tool}: {' and '.join(missing)} not installed: pip install -e '.[serve]'")
