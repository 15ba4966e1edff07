"""Worlds in worker processes, with limits on the time and memory of each call, for tools that may hang or crash.

- ``isolated_environment.py``: an environment around another one; its worlds are ``isolated_world.py``.
- ``worker_process.py``: starts, questions and ends a process; ``world_server.py`` runs in it.
- ``remote_view.py``: the view of a world that is in another process.

A worker plays many worlds. When a call exceeds a limit or crashes, its worker is killed, and each world that was in it
is rebuilt when it is next used: the task is opened again and the calls that returned so far are repeated.

Not covered: this is not a sandbox. A worker has the rights of the run, may write files and reach the network, and what
it sends is unpickled.
"""

from envtune.environment.isolation.isolated_environment import IsolatedEnvironment

__all__ = ["IsolatedEnvironment"]
