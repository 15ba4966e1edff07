import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device

from envtune.bfcl.category import Category
from envtune.grpo.batch import TrainBatch
from envtune.trajectory import EpisodeEnd, FinalAnswer, Step, TokenRecord, Trajectory, Turn, TurnEnd, TurnVerdict


def turn_of(steps):
    """Return a turn of ``steps`` steps."""
    step = Step("", FinalAnswer("", ""), (), "")
    return Turn("", (), (step,) * steps, TurnEnd.ANSWERED, TurnVerdict(True, True, False, True, True))


def trajectory(ids, sampled, policy_version=0, steps=()):
    """Return a trajectory whose ``sampled`` positions have log-prob -1, with ``steps`` steps in each turn."""
    mask = tuple(position in sampled for position in range(len(ids)))
    tokens = TokenRecord(
        tuple(ids), mask, tuple(-1.0 if m else 0.0 for m in mask), prompt_length=min(sampled, default=1)
    )
    turns = tuple(map(turn_of, steps))
    return Trajectory("t", Category.BASE, 3, turns, EpisodeEnd.TERMINATED, policy_version=policy_version, tokens=tokens)


def batch_of(lengths, rewards=None):
    trajectories = [trajectory(range(1, length + 1), {length - 1}) for length in lengths]
    rewards = torch.arange(len(lengths), dtype=torch.float32).reshape(1, -1) if rewards is None else rewards
    return TrainBatch.from_trajectories(trajectories, rewards, pad_id=0, temperature=1.0)


def test_rows_are_padded_on_the_right_with_masks_of_real_and_sampled_tokens():
    rows = [trajectory([5, 6, 7, 8], {2, 3}, policy_version=4), trajectory([5, 9], {1}, policy_version=4)]
    batch = TrainBatch.from_trajectories(rows, torch.tensor([[0.0, 1.0]]), pad_id=63, temperature=0.7)
    assert batch.ids.tolist() == [[5, 6, 7, 8], [5, 9, 63, 63]]
    assert batch.attention_mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.completion_mask.tolist() == [[False, False, True, True], [False, True, False, False]]
    assert batch.behaviour_logprobs.tolist() == [[0, 0, -1, -1], [0, -1, 0, 0]]
    assert batch.policy_versions.tolist() == [4, 4]
    assert batch.temperature == 0.7


def test_rewards_and_advantages_are_in_the_order_of_the_rows():
    batch = batch_of([2, 2, 2, 2], torch.tensor([[0.0, 1.0], [8.0, 4.0]]))
    assert batch.rewards.tolist() == [0, 1, 8, 4]
    torch.testing.assert_close(batch.advantages, torch.tensor([-1.0, 1.0, 1.0, -1.0]) / 2**0.5, atol=1e-5, rtol=0)


def test_every_sampled_token_has_its_turn():
    # Turn 0 has a step of two tokens and one of one, turn 1 a step of one token; the second row has no recorded turns.
    rows = [trajectory(range(8), {2, 3, 5, 7}, steps=[2, 1]), trajectory(range(3), {2})]
    batch = TrainBatch.from_trajectories(rows, torch.tensor([[0.0, 1.0]]), pad_id=0, temperature=1.0)
    assert batch.turns.tolist() == [[-1, -1, 0, 0, -1, 0, -1, 1], [-1] * 8]


def test_a_different_number_of_steps_and_completions_is_refused():
    rows = [trajectory(range(8), {2, 3, 5}, steps=[2, 1])] * 2
    with pytest.raises(ValueError, match="the trajectory of task t has 3 steps but 2 completions"):
        TrainBatch.from_trajectories(rows, torch.tensor([[0.0, 1.0]]), pad_id=0, temperature=1.0)


def prompted(*rows):
    """Return a batch of rows (letter of the prompt, tokens of the prompt, tokens after it)."""
    trajectories = [
        trajectory([ord(letter)] * prompt + list(range(after)), set(range(prompt, prompt + after)))
        for letter, prompt, after in rows
    ]
    return TrainBatch.from_trajectories(trajectories, torch.zeros(1, len(rows)), pad_id=0, temperature=1.0)


def test_rows_with_equal_prompts_share_a_number():
    batch = prompted(("a", 3, 1), ("b", 3, 2), ("a", 3, 4), ("a", 2, 1))
    assert batch.prompts.tolist() == [0, 1, 0, 2]
    assert batch.prompt_lengths.tolist() == [3, 3, 3, 2]


def test_micro_batches_count_a_shared_prompt_once():
    # 10 + 4 + 3 + 2 = 19 tokens; padded rows would have 42.
    batch = prompted(("a", 10, 2), ("a", 10, 4), ("a", 10, 3))
    assert batch.unique_tokens == 19
    assert [group.tolist() for group in batch.micro_batches(19)] == [[1, 2, 0]]
    # With one token less, the shortest row repeats the prompt: 17 and 12.
    assert [group.tolist() for group in batch.micro_batches(18)] == [[1, 2], [0]]


def test_micro_batches_join_groups_while_there_is_room():
    # Groups of 9, 6 and 3 tokens: the first leaves room for the third.
    batch = prompted(("a", 5, 1), ("b", 4, 3), ("b", 4, 2), ("c", 1, 2))
    assert [sorted(group.tolist()) for group in batch.micro_batches(12)] == [[1, 2, 3], [0]]


def test_a_row_longer_than_the_bound_is_a_micro_batch_of_its_own():
    batch = prompted(("a", 2, 1), ("b", 5, 4), ("a", 2, 1))
    assert [group.tolist() for group in batch.micro_batches(4)] == [[1], [0, 2]]


def test_selected_rows_are_trimmed_to_the_longest_of_them():
    batch = batch_of([3, 9, 2]).select(torch.tensor([2, 0]))
    assert batch.ids.tolist() == [[1, 2, 0], [1, 2, 3]]
    assert batch.completion_mask.tolist() == [[False, True, False], [False, False, True]]
    assert batch.rewards.tolist() == [2, 0]
    assert batch.lengths.tolist() == [2, 3]
    assert batch.prompt_lengths.tolist() == [1, 2]


def test_lightning_moves_a_batch_to_its_device():
    moved = move_data_to_device(batch_of([2, 3]), torch.device("meta"))
    assert isinstance(moved, TrainBatch)
    assert moved.ids.device.type == moved.advantages.device.type == "meta"
    assert moved.temperature == 1.0


def test_trajectories_that_do_not_fit_the_rewards_are_refused():
    with pytest.raises(ValueError, match=r"1 trajectories do not fit rewards of shape \(1, 2\)"):
        TrainBatch.from_trajectories([trajectory([1, 2], {1})], torch.tensor([[0.0, 1.0]]), 0, 1.0)


def test_a_trajectory_without_tokens_is_refused():
    bare = Trajectory("task_7", Category.BASE, 1, (), EpisodeEnd.TERMINATED)
    with pytest.raises(ValueError, match="task_7 has no tokens"):
        TrainBatch.from_trajectories([bare, bare], torch.tensor([[0.0, 1.0]]), 0, 1.0)


def test_a_sampled_first_token_is_refused_because_nothing_predicts_it():
    rows = [trajectory([1, 2], {0}), trajectory([1, 2], {1})]
    with pytest.raises(ValueError, match="must begin with a prompt token"):
        TrainBatch.from_trajectories(rows, torch.tensor([[0.0, 1.0]]), 0, 1.0)
