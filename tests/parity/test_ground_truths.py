"""Ground truths read alike wherever the names of positional arguments are taken from."""

from __future__ import annotations

import ast
import itertools

import pytest
from official import entries

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.toolbox import PARAMETERS


@pytest.mark.parametrize("category", CATEGORIES)
def test_positional_ground_truth_binds_alike_by_document_and_by_signature(category: str) -> None:
    tasks = {task.id: task for task in load_bfcl_tasks([category])}
    for entry in entries(category):
        orders = {tool.name: tuple(tool.parameters["properties"]) for tool in tasks[entry.id].tools}
        for call in itertools.chain.from_iterable(entry.ground_truth):
            node = ast.parse(call, mode="eval").body
            count = len(node.args)
            assert orders[node.func.id][:count] == PARAMETERS[node.func.id][:count]
