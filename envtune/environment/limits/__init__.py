"""Bounds that let no response run for a second or take 64 MB, however the model writes it.

All of them count, none of them measures time: the same calls have the same results on a busy machine, and a worker
process or a signal would cost every call what only hostile ones need. Four kinds, one file each: the arguments of a
call, judged before it runs (``arguments.py``); what the calls of one response return together (``results.py``); the
file tree, judged after a call that changes it, which is undone then (``tree.py``); and all that an episode's calls
have added to its worlds (``world.py``). They rest on two more in ``chat/protocol.py``: the characters and the calls of
one response.

Evidence: 99 hostile scripts of 1 to 660 responses (CPython 3.11, one core) with these bounds: the slowest step took
0.31 s of processor time, the largest 8.6 MB. With bounds on single calls alone, 24 of 79 such scripts had a step of
more than a second or had to be stopped after 12 s or more: a response of a million characters holds 19,000 calls of
``cat`` (2.7 GB), or of a search through all that earlier responses have written.

Every bound lies far above what the 800 ground truths need, so a call that is not refused keeps its exact result:

====================================  =============  =======
of one                                ground truths  allowed
====================================  =============  =======
response: characters                          6,886  200,000
response: calls (of a turn)                      34       50
response: characters of results              70,423  400,000
call: characters of arguments                 6,697   30,000
call: values in its arguments                    13    1,000
call: characters of its result               31,706  200,000
tree: items                                     126    1,000
tree: characters of paths and files          30,908  500,000
worlds: characters, without the tree         11,066  300,000
worlds: values, without the tree              1,287    6,000
====================================  =============  =======

Not covered: the record of an episode grows with its steps, whose number is the user's; a parser other than ours has to
bound a response itself; and what is refused here is refused even where the benchmark's executor would carry it out.
"""

from envtune.environment.limits.arguments import check_arguments
from envtune.environment.limits.exceeded import LimitExceeded
from envtune.environment.limits.results import ResultBudget
from envtune.environment.limits.tree import TREE_TOOLS, check_tree, run_in_bounded_tree
from envtune.environment.limits.world import WorldGrowth

__all__ = [
    "TREE_TOOLS",
    "LimitExceeded",
    "ResultBudget",
    "WorldGrowth",
    "check_arguments",
    "check_tree",
    "run_in_bounded_tree",
]
