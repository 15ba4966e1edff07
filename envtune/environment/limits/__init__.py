"""Limits that keep every step below a second and 64 MB, whatever a model writes.

All of them are counts and none is a time: a call returns the same result on a busy machine, and no call pays for a
worker process or a signal that only hostile ones need. Here are the limits of any environment, one file per kind:

- ``arguments.py``: the arguments of a call, checked before it runs.
- ``result_budget.py``: the results of all calls of one response together.

Two more are in ``chat/protocol.py``: the characters and the calls of one response. What a call may do to a world is
limited by the world: ``python_world.py`` bounds any state, and ``envtune/bfcl/limits`` BFCL's.

Evidence: 99 hostile scripts of 1 to 660 responses on BFCL's tools (CPython 3.11, one core). With these limits the
slowest step took 0.31 s of CPU time and the largest 8.6 MB. With limits on single calls alone, 24 of 79 such scripts
had a step of more than a second or had to be stopped after 12 s or more: a response of a million characters holds
19,000 calls of ``cat`` (2.7 GB), or of a search through everything that earlier responses have written.

Every limit is far above what the 800 ground truths need, so a call that is not refused keeps its exact result:

====================================  =============  =======
per                                   ground truths  allowed
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

Not covered: the record of an episode grows with its steps, whose number the user sets; another parser has to limit a
response itself; and a call beyond a limit is refused even where BFCL's own executor would run it.
"""

from envtune.environment.limits.arguments import check_arguments
from envtune.environment.limits.exceeded import LimitExceeded
from envtune.environment.limits.result_budget import ResultBudget

__all__ = ["LimitExceeded", "ResultBudget", "check_arguments"]
