"""The promises that an environment makes to training, checked with its own tasks.

    from envtune.environment.contract import assert_environment

    def test_the_environment_keeps_its_promises():
        assert_environment("library")

A promise is a function of a `Trial` that returns `Evidence`. It runs in a child process, so that a tool that never
returns, or ends the process, is named in the counterexample.
"""

from envtune.environment.contract.promises import Outcome, assert_environment, check_environment, outcomes

__all__ = ["Outcome", "assert_environment", "check_environment", "outcomes"]
