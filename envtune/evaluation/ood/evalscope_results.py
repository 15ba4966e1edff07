"""What evalscope 1.14 writes about a run -> scores of tasks. Reads its review files; imports nothing of it."""

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
    """The scores of ``subsets``, evalscope's name by the part's, from its reviews (one JSON line per episode).

    An episode that broke off, which evalscope scores 0, is reported as broken too.

    Raises:
        UserError: a subset was not scored, or a file is not as evalscope 1.14 writes it.
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
            raise UserError(f"{path} is not as evalscope 1.14 writes it ({error!r}): score with that version") from None
        beside = {"milestones": fmean(milestones)} if milestones else {}
        parts[name] = Part({task: fmean(values) for task, values in scores.items()}, beside)
    return Results(parts, broken)


def _reviews(path: Path) -> list[dict[str, Any]]:
    """The episodes; of one that was scored again, the last."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        reviews = {review["index"]: review["sample_score"] for review in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}): evalscope has not scored this part") from None
    if not reviews:
        raise UserError(f"{path} is empty: evalscope has not scored this part")
    return list(reviews.values())


def _broken(review: Mapping[str, Any]) -> str | None:
    """Why the harness could not finish the episode. What the agent did wrong inside an episode is no reason."""
    if "rollout_error" in review["sample_metadata"]:
        return str(review["sample_metadata"]["rollout_error"])
    # ACEBench puts a list of differences there, tau2-bench the exception of a verdict that could not be given.
    error = (review["score"]["metadata"] or {}).get("error")
    return error if isinstance(error, str) else None
