"""The list of defective tasks that is shipped with the package and left out of audited scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

FILE_NAME = "bfcl_audit.json"


@cache
def published() -> Mapping[str, Any]:
    """Return the shipped list in the form of ``to_json``."""
    return json.loads(files("envtune.bfcl.audit").joinpath(FILE_NAME).read_text(encoding="utf-8"))


def listed_tasks() -> frozenset[str]:
    """Return the ids left out of audited scores: every task on the shipped list, with any severity."""
    return frozenset(published()["tasks"])
