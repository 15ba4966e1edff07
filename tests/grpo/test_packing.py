import torch

from envtune.grpo.packing import Branches, pack


def test_a_shared_prompt_is_packed_once_before_the_completions_of_its_rows():
    # Rows 0 and 2 share the prompt 7 8; row 1 has the prompt 9.
    packed = pack(
        ids=torch.tensor([7, 8, 1, 2, 3, 9, 4, 7, 8, 5]),
        lengths=torch.tensor([5, 2, 3]),
        prompts=torch.tensor([0, 1, 0]),
        prompt_lengths=torch.tensor([2, 1, 2]),
        sampled=torch.tensor([2, 4, 6, 9]),
    )
    assert packed.ids.tolist() == [7, 8, 1, 2, 3, 5, 9, 4]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 2, 0, 1]
    assert packed.branches == (Branches(slice(0, 2), (slice(2, 5), slice(5, 6))), Branches(slice(6, 7), (slice(7, 8),)))
    # 1 and 5 are predicted by the prompt's end (index 1), 3 by 2 (index 3), 4 by 9 (index 6).
    assert packed.predictors.tolist() == [1, 3, 6, 1]


def test_a_row_without_tokens_after_its_prompt_has_an_empty_completion():
    packed = pack(
        ids=torch.tensor([7, 8, 7, 8]),
        lengths=torch.tensor([2, 2]),
        prompts=torch.tensor([0, 0]),
        prompt_lengths=torch.tensor([2, 2]),
        sampled=torch.tensor([], dtype=torch.int64),
    )
    assert packed.ids.tolist() == [7, 8]
    assert packed.branches == (Branches(slice(0, 2), (slice(2, 2), slice(2, 2))),)
    assert packed.predictors.tolist() == []
