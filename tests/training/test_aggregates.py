from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from envtune.processes.collectives import gather
from envtune.training.reporting.aggregates import Aggregates

MINIMA, MAXIMA = frozenset({"low"}), frozenset({"high"})


def test_a_name_is_a_mean_unless_it_is_given_as_minimum_or_maximum():
    aggregates = Aggregates(MINIMA, MAXIMA)
    aggregates.add({"low": [3, 1], "high": [3, 1], "mean": [3, 1]})
    aggregates.add({"low": [2], "high": [5], "mean": [8]})
    assert aggregates.pop() == {"low": 1, "high": 5, "mean": 4}


def test_a_mean_is_over_samples_however_they_arrive():
    aggregates = Aggregates()
    aggregates.add({"mean": [1, 1, 1]})
    aggregates.add({"mean": [5]})
    assert aggregates.pop() == {"mean": 2}


def test_reading_begins_anew_and_leaves_out_names_without_samples():
    aggregates = Aggregates(MINIMA, MAXIMA)
    aggregates.add({"low": [1], "high": [1], "mean": [1], "kept": [1]})
    aggregates.pop()
    aggregates.add({"kept": [7], "mean": []})
    assert aggregates.pop() == {"kept": 7}
    assert aggregates.pop() == {}


def rank_of_two(rank: int, folder: str) -> None:
    """The second process has no sample of `mean` and `high`, the first none of `late`."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2)
    aggregates = Aggregates(MINIMA, MAXIMA)
    mine = [{"low": [4, 2], "mean": [1, 2, 6], "high": [9], "both": [1]}, {"low": [3], "late": [5], "both": [4, 4]}]
    aggregates.add(mine[rank])
    first = aggregates.pop()
    aggregates.add({"both": [rank]})
    second = aggregates.pop()
    Path(folder, f"{rank}.json").write_text(json.dumps([first, second, gather([rank, "x" * rank])]))
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_get_the_same_values_over_all_their_samples(tmp_path: Path):
    multiprocessing.spawn(rank_of_two, (str(tmp_path),), nprocs=2)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert (
        ranks[0]
        == ranks[1]
        == [{"low": 2, "mean": 3, "high": 9, "both": 3, "late": 5}, {"both": 0.5}, [[0, ""], [1, "x"]]]
    )


def test_one_process_is_all_ranks():
    assert gather([1, 2]) == [[1, 2]]
