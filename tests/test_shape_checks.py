"""A tensor of another shape or dtype than annotated raises at once, in tests."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError
from shape_checks import shaped_modules

from envtune.rollout.hf.kv_rows import KvRows
from envtune.rollout.hf.sampling import inverse_cdf
from envtune.training.reporting.update_statistics import UpdateStatistics


def test_every_room_with_tensor_code_has_modules_that_are_checked():
    rooms = {name.split(".")[1] for name in shaped_modules()}
    assert {"grpo", "rollout", "training"} <= rooms


@pytest.mark.parametrize("uniforms", [torch.rand(3), torch.rand(2, 1)])
def test_noise_of_another_shape_than_the_probabilities_rows_raises(uniforms: torch.Tensor):
    with pytest.raises(TypeCheckError, match="uniforms"):
        inverse_cdf(torch.zeros(2, 5), uniforms)


def test_a_returned_tensor_of_another_shape_than_annotated_raises(monkeypatch: pytest.MonkeyPatch):
    rows = KvRows()
    rows.lengths = [2, 1]
    monkeypatch.setattr(torch.Tensor, "masked_fill_", lambda zeros, held, lowest: zeros[:, :, None])
    with pytest.raises(TypeCheckError, match="row 1 1 token"):
        rows.bias_of_first(2, torch.device("cpu"))


def test_what_is_not_a_record_of_the_annotated_class_raises():
    token, place = torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(TypeCheckError):
        UpdateStatistics().add((0.0,), token, token, token, place, place)  # type: ignore[arg-type]
