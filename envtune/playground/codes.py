"""The codes of the tools: airports and routes, zip codes and distances, stock symbols.

BFCL's classes have these tables inside their functions, so they are read by calling the tools once with the names
below.
"""

from __future__ import annotations

import json
from functools import cache, partial
from itertools import permutations
from typing import Any

from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import Toolbox
from envtune.playground.story_builder import all_documents
from envtune.task import Task, ToolCall

MAX_DIGITS = 8

FLIGHT_CITIES = (
    "Rivermist Stonebrook Maplecrest Silverpine Shadowridge Sunset_Valley Oakendale Willowbend Crescent_Hollow "
    "Autumnville Pinehaven Greenfield San_Francisco Los_Angeles New_York Chicago Boston London Paris Tokyo Rome"
)
DRIVE_CITIES = (
    "Rivermist Stonebrook Maplecrest Silverpine Shadowridge Sunset_Valley Oakendale Willowbend Crescent_Hollow "
    "Autumnville San_Francisco"
)
COMPANIES = (
    "Apple Google Tesla Microsoft Nvidia Zeta_Corp Alpha_Tech Omega_Industries Neptune_Systems Synex_Solutions "
    "Amazon Gorilla"
)


@cache
def symbols() -> dict[str, str]:
    """Return the stock symbol of each company."""
    return {name: _ask("TradingBot", "get_symbol_by_name", name=name)["symbol"] for name in _names(COMPANIES)}


@cache
def routes() -> tuple[tuple[str, str], ...]:
    """Return the pairs of cities with a flight between them."""
    ask = partial(_ask, "TravelAPI")
    codes = {
        city: ask("get_nearest_airport_by_city", location=city)["nearest_airport"] for city in _names(FLIGHT_CITIES)
    }
    fixed = {"travel_date": "2025-01-01", "travel_class": "economy"}
    pairs = permutations(codes, 2)
    return tuple((a, b) for a, b in pairs if ask("get_flight_cost", travel_from=codes[a], travel_to=codes[b], **fixed))


@cache
def roads() -> tuple[tuple[str, str], ...]:
    """Return the pairs of cities with a known distance."""
    ask = partial(_ask, "VehicleControlAPI")
    codes = {city: ask("get_zipcode_based_on_city", city=city)["zipcode"] for city in _names(DRIVE_CITIES)}
    pairs = permutations(codes, 2)
    return tuple((a, b) for a, b in pairs if ask("estimate_distance", cityA=codes[a], cityB=codes[b]))


@cache
def neat(toolbox: str, tool: str, argument: str, candidates: range, **fixed: Any) -> tuple[int, ...]:
    """Return the candidates for which a conversion returns at most ``MAX_DIGITS`` characters, which is easy to copy."""
    results = ((number, _ask(toolbox, tool, **{argument: number}, **fixed)) for number in candidates)
    return tuple(n for n, result in results if all(len(str(value)) <= MAX_DIGITS for value in result.values()))


def _names(words: str) -> list[str]:
    return [word.replace("_", " ") for word in words.split()]


def _ask(toolbox: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the result of a call, or an empty dict for a failure."""
    result = _toolbox(toolbox).call(ToolCall(tool, arguments))
    return json.loads(result.text) if result.ok else {}


@cache
def _toolbox(toolbox: str) -> Toolbox:
    return Toolbox(Task("codes", Category.BASE, Scenario(0, (toolbox,), {}), (), all_documents((toolbox,))))
