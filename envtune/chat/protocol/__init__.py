"""The response protocol: parses completions into actions and renders actions as completions."""

from envtune.chat.protocol.environment_tuning import (
    MAX_CALLS,
    MAX_CHARACTERS,
    parse,
    render_answer,
    render_calls,
    start_of_calls,
)

__all__ = ["MAX_CALLS", "MAX_CHARACTERS", "parse", "render_answer", "render_calls", "start_of_calls"]
