"""The harness, with the search service's answers and the pages of the web taken from recorded_search.json.

Written by hand in the shape that serpapi.com documents for its engine "duckduckgo": nothing here reaches the web.
"""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests
import serpapi

HERE = Path(__file__).parent
HARNESS = HERE.parents[2] / "envtune/bfcl/official/bfcl_harness.py"
RECORDED = json.loads((HERE / "recorded_search.json").read_text(encoding="utf-8"))


class RecordedSearch:
    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters

    def get_dict(self) -> dict[str, Any]:
        if self._parameters["api_key"] != "a key of the user's":
            return {"error": "Invalid API key."}
        return {"organic_results": RECORDED["searches"][self._parameters["q"]]}


def recorded_page(url: str, **_: Any) -> SimpleNamespace:
    return SimpleNamespace(text=RECORDED["pages"][url], raise_for_status=lambda: None)


serpapi.GoogleSearch = RecordedSearch
requests.get = recorded_page
# By its path, for envtune is not installed in the environment of BFCL's program.
spec = spec_from_file_location("bfcl_harness", HARNESS)
assert spec
assert spec.loader
harness = module_from_spec(spec)
spec.loader.exec_module(harness)
harness.main(sys.argv[1], sys.argv[2], sys.argv[3:])
