"""Serve completions of a model folder in token ids on this machine, with the sampler of `rollout=hf`.

    python tools/completion_server.py exported --port 8001
    python tools/serve.py exported --upstream http://127.0.0.1:8001

tools/serve.py starts it where vLLM is not installed. It listens on 127.0.0.1 and implements the part of vLLM's
/v1/completions that the chat endpoint uses. If VLLM_API_KEY is set, requests must have that key.
"""

from __future__ import annotations

import envtune.process_start

from envtune.program import run_program
from envtune.serving.completion_program import main

if __name__ == "__main__":
    run_program(main)
