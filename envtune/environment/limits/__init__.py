"""Bounds on one call, so that no call hangs the process or fills its memory.

Arguments are judged before the call. Where a call can multiply the file tree, the tree is judged after it and the
call undone. The bounds lie far above what the benchmark's ground truth needs (its longest string has 6690 characters,
its longest result 31.7 thousand), so a call that is not refused keeps its exact result.

Not covered: there is no clock, because no call within these bounds takes long; many calls in a row may fill a world
step by step (the step limit and the token limit bound those); and a call that a bound refuses is refused even where
the benchmark's own executor would let it run for a long time.
"""

from envtune.environment.limits.arguments import check_arguments
from envtune.environment.limits.exceeded import LimitExceeded
from envtune.environment.limits.results import check_result
from envtune.environment.limits.tree import TREE_TOOLS, check_tree, run_in_bounded_tree

__all__ = ["TREE_TOOLS", "LimitExceeded", "check_arguments", "check_result", "check_tree", "run_in_bounded_tree"]
