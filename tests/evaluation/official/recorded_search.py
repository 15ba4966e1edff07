"""The harness, with the search service's answers and the pages of the web taken from recorded_search.json.

Written by hand in the shape that serpapi.com documents for its engine "duckduckgo": nothing here reaches the web.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness  # Of envtune/evaluation/official, which the test puts on the path.
import requests
import serpapi

RECORDED = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


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
harness.main(sys.argv[1], sys.argv[2], sys.argv[3:])
