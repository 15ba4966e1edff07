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


def trajectory(ids, sampled, policy_version=0, steps=(1,)):
    """Return a trajectory whose ``sampled`` positions have log-prob -1, with ``steps`` steps in each turn."""
    mask = tuple(position in sampled for position in range(len(ids)))
    tokens = TokenRecord(
        tuple(ids), mask, tuple(-1.0 if m else 0.0 for m in mask), prompt_length=min(sampled, default=1)
    )
    turns = tuple(map(turn_of, steps))
    return Trajectory("t", Category.BASE, 3, turns, EpisodeEnd.TERMINATED, policy_version=policy_version, tokens=tokens)


def batch_of(lengths):
    """Return a batch of rows 1, 2, … of which the last token was sampled, with the row's number as its advantage."""
    trajectories = [trajectory(range(1, length + 1), {length - 1}) for length in lengths]
    return TrainBatch.from_trajectories(trajectories, [[float(row)] for row in range(len(lengths))], temperature=1.0)


def test_tokens_follow_each_other_without_padding():
    rows = [trajectory([5, 6, 7, 8], {2, 3}, policy_version=4), trajectory([5, 9], {1}, policy_version=4)]
    batch = TrainBatch.from_trajectories(rows, [[0.5], [-0.5]], temperature=0.7)
    assert batch.ids.tolist() == [5, 6, 7, 8, 5, 9]
    assert (batch.lengths.tolist(), batch.starts.tolist()) == ([4, 2], [0, 4])
    assert batch.sampled.tolist() == [2, 3, 5]
    assert batch.episodes.tolist() == [0, 0, 1]
    assert batch.behaviour_logprobs.tolist() == [-1, -1, -1]
    assert batch.advantages.tolist() == [0.5, 0.5, -0.5]
    assert batch.policy_versions.tolist() == [4, 4]
    assert batch.temperature == 0.7


def test_every_sampled_token_has_its_turn_and_the_advantage_of_it():
    # Turn 0 has a step of two tokens and one of one, turn 1 a step of one token.
    rows = [trajectory(range(8), {2, 3, 5, 7}, steps=[2, 1]), trajectory(range(3), {2})]
    batch = TrainBatch.from_trajectories(rows, [[0.25, -1.0], [2.0]], temperature=1.0)
    assert batch.turns.tolist() == [0, 0, 0, 1, 0]
    assert batch.advantages.tolist() == [0.25, 0.25, 0.25, -1.0, 2.0]


def test_a_different_number_of_steps_and_completions_is_refused():
    rows = [trajectory(range(8), {2, 3, 5}, steps=[2, 1])] * 2
    with pytest.raises(ValueError, match="the trajectory of task t has 3 steps but 2 completions"):
        TrainBatch.from_trajectories(rows, [[0.0, 1.0]] * 2, temperature=1.0)


@pytest.mark.parametrize("advantages", [[[0.0]], [[0.0], [0.0, 1.0]]])
def test_advantages_that_do_not_fit_the_turns_are_refused(advantages):
    with pytest.raises(ValueError, match="every turn of every trajectory needs one advantage"):
        TrainBatch.from_trajectories([trajectory([1, 2], {1})] * 2, advantages, 1.0)


def prompted(*rows):
    """Return a batch of rows (letter of the prompt, tokens of the prompt, tokens after it)."""
    trajectories = [
        trajectory([ord(letter)] * prompt + list(range(after)), set(range(prompt, prompt + after)))
        for letter, prompt, after in rows
    ]
    return TrainBatch.from_trajectories(trajectories, [[0.0]] * len(rows), temperature=1.0)


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


def test_selected_rows_keep_what_is_theirs_in_their_order():
    rows = [
        trajectory([1, 2, 3, 4], {1, 3}, steps=[1, 1]),
        trajectory([5, 6], set(), steps=[0]),
        trajectory([7, 8], {1}),
    ]
    batch = TrainBatch.from_trajectories(rows, [[0.1, 0.2], [0.0], [0.3]], temperature=1.0)
    chosen = batch.select(torch.tensor([2, 1, 0]))
    assert chosen.ids.tolist() == [7, 8, 5, 6, 1, 2, 3, 4]
    assert chosen.lengths.tolist() == [2, 2, 4]
    assert chosen.sampled.tolist() == [1, 5, 7]
    assert chosen.episodes.tolist() == [0, 2, 2]
    assert chosen.advantages.tolist() == pytest.approx([0.3, 0.1, 0.2])
    assert chosen.turns.tolist() == [0, 0, 1]
    assert batch.sampled_of(torch.tensor([2, 0])).tolist() == [2, 0, 1]
    assert batch.select(torch.tensor([1])).sampled.tolist() == []


def test_lightning_moves_a_batch_to_its_device():
    moved = move_data_to_device(batch_of([2, 3]), torch.device("meta"))
    assert isinstance(moved, TrainBatch)
    assert moved.ids.device.type == moved.advantages.device.type == "meta"
    assert moved.temperature == 1.0


def test_a_trajectory_without_tokens_is_refused():
    bare = Trajectory("task_7", Category.BASE, 1, (), EpisodeEnd.TERMINATED)
    with pytest.raises(ValueError, match="task_7 has no tokens"):
        TrainBatch.from_trajectories([bare, bare], [[], []], 1.0)


def test_a_sampled_first_token_is_refused_because_nothing_predicts_it():
    rows = [trajectory([1, 2], {0}), trajectory([1, 2], {1})]
    with pytest.raises(ValueError, match="must begin with a prompt token"):
        TrainBatch.from_trajectories(rows, [[0.0], [1.0]], 1.0)
