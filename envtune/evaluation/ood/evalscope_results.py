"""Scores of tasks from the review files of evalscope 1.14, which is not imported."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from envtune.errors import UserError
from envtune.evaluation.ood.record import Part, Results


def read_evalscope(work_folder: Path, model_id: str, dataset: str, subsets: Mapping[str, str]) -> Results:
    """Return the scores in evalscope's reviews, which have one JSON line per episode.

    An episode that broke off has evalscope's score of 0 and is also listed as broken.

    Args:
        work_folder: evalscope's ``work_dir``.
        model_id: evalscope's name of the agent.
        dataset: evalscope's name of the benchmark.
        subsets: evalscope's names of the parts, by part.

    Raises:
        UserError: a part was not scored, or a file is not in the format of evalscope 1.14.
    """
    parts: dict[str, Part] = {}
    broken: list[str] = []
    for name, subset in subsets.items():
        path = work_folder / "reviews" / model_id / f"{dataset}_{subset}.jsonl"
        reviews = _reviews(path)
        scores: dict[str, list[float]] = defaultdict(list)
        milestones: list[float] = []
        try:
            for review in reviews:
                task = f"{subset}/{review['sample_metadata']['id']}"
                value = review["score"]["value"]
                scores[task].append(float(value["acc"]))
                if "process_acc" in value:
                    milestones.append(float(value["process_acc"]))
                reason = _broken(review)
                if reason:
                    broken.append(f"{task}: {reason}")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is not in the format of evalscope 1.14 ({error!r}): use that version") from None
        beside = {"milestones": fmean(milestones)} if milestones else {}
        parts[name] = Part({task: fmean(values) for task, values in scores.items()}, beside)
    return Results(parts, broken)


def _reviews(path: Path) -> list[dict[str, Any]]:
    """Return the episodes; of an episode that was scored again, the last review."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        reviews = {review["index"]: review["sample_score"] for review in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}): evalscope has not scored this part") from None
    if not reviews:
        raise UserError(f"{path} is empty: evalscope has not scored this part")
    return list(reviews.values())


def _broken(review: Mapping[str, Any]) -> str | None:
    """Return the reason why the harness could not finish the episode; None if it did, whatever the agent did."""
    if "rollout_error" in review["sample_metadata"]:
        return str(review["sample_metadata"]["rollout_error"])
    # A list of differences in ACEBench, the exception of a failed verdict in tau2-bench.
    error = (review["score"]["metadata"] or {}).get("error")
    return error if isinstance(error, str) else None
