"""Importing this checks, from then on, the shape annotations of envtune wherever they are written.

Only modules that annotate shapes are hooked, and there every argument is checked. Elsewhere tests pass stand-ins that
are of another class than a Trainer, and beartype refuses Protocols that are not `runtime_checkable`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from jaxtyping import install_import_hook


def shaped_modules() -> list[str]:
    """Return the names of all modules that import jaxtyping."""
    package = find_spec("envtune")
    assert package is not None
    assert package.origin is not None
    root = Path(package.origin).parent
    shaped = (path for path in sorted(root.rglob("*.py")) if "from jaxtyping import" in path.read_text())
    return [".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__") for path in shaped]


# Before anything imports these modules; the hook stays for the whole process.
install_import_hook(shaped_modules(), "beartype.beartype")
