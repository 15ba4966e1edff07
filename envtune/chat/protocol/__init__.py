"""Response protocols: how a completion says what to call or to answer. The paper's is the default.

Below are the functions of the paper's protocol; the choices of ``protocol=`` are classes, one in each module.
"""

from envtune.chat.protocol.environment_tuning import EnvironmentTuning
from envtune.chat.protocol.response_protocol import MAX_CALLS, MAX_CHARACTERS

PAPERS = EnvironmentTuning()
parse, write_calls, write_answer = PAPERS.parse, PAPERS.write_calls, PAPERS.write_answer

__all__ = ["MAX_CALLS", "MAX_CHARACTERS", "PAPERS", "parse", "write_answer", "write_calls"]
