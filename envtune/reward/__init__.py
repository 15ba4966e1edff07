"""Rewards of trajectories. Each is a class with plain settings that returns named, weighted parts."""

from envtune.reward.binary import BinaryReward
from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart, judge
from envtune.reward.format import FormatReward
from envtune.reward.mixed import MixedReward
from envtune.reward.progress import ProgressReward
from envtune.reward.toolrl import ToolRLReward

__all__ = [
    "BinaryReward",
    "FormatReward",
    "MixedReward",
    "ProgressReward",
    "Reward",
    "RewardBreakdown",
    "RewardPart",
    "ToolRLReward",
    "judge",
]
