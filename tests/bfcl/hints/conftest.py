"""One world with all eight tool classes: small, made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import Toolbox
from envtune.bfcl.worlds import TOOLBOXES
from envtune.task import Task

FILES = {
    "notes.txt": {"type": "file", "content": "one\ntwo"},
    "plan.txt": {"type": "file", "content": "three"},
    "archive": {"type": "directory", "contents": {"notes.txt": {"type": "file", "content": "old"}}},
}
STATE = {
    "GorillaFileSystem": {"root": {"work": {"type": "directory", "contents": FILES}}},
    "MessageAPI": {"user_map": {"Ada": "USR001"}, "user_count": 1, "inbox": [], "current_user": None},
    "TwitterAPI": {"username": "ada", "password": "secret", "following_list": ["bob"], "tweets": {}},
    "TicketAPI": {"ticket_queue": [], "ticket_counter": 1, "current_user": ""},
    "TradingBot": {"authenticated": False, "market_status": "Closed"},
    "TravelAPI": {},
    "VehicleControlAPI": {},
}


@pytest.fixture
def make_toolbox() -> Callable[..., Toolbox]:
    """A fresh toolbox; ``without`` names tools that are not offered."""

    def make(without: tuple[str, ...] = ()) -> Toolbox:
        tools = tuple(tool for name in TOOLBOXES for tool in tool_documents(name))
        toolbox = Toolbox(Task("hand_made", Category.BASE, Scenario(0, TOOLBOXES, STATE), (), tools))
        toolbox.offer(toolbox.tools.difference(without))
        return toolbox

    return make


@pytest.fixture
def toolbox(make_toolbox: Callable[..., Toolbox]) -> Toolbox:
    return make_toolbox()
