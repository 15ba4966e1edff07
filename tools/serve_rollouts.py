"""Starts vLLM as a server that samples for `rollout=vllm_server`, until it is interrupted.

    python tools/serve_rollouts.py path/to/model --max-model-len 32768
    python train.py rollout=vllm_server model=hf model.path=path/to/model

It serves a folder of Hugging Face's or a name on its hub, which has to be the model that is trained; its weights are
replaced at once by the trainer's. All further options are those of `vllm serve`, such as --port, --dtype,
--gpu-memory-utilization or --tensor-parallel-size.

Whoever reaches the server can replace its weights with what any folder holds. It listens on this machine alone unless
--host says otherwise; on a network, let nobody but the trainer reach it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence

from envtune.program import run_program
from envtune.rollout.vllm_engine import WORKER, whole_prompts

MISSING = "serve_rollouts: this needs the package vllm: pip install -e '.[vllm]'"
FIXED = (
    *("--worker-extension-cls", WORKER, "--tokens-only", "--skip-tokenizer-init", "--enable-prefix-caching"),
    *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--enable-prompt-tokens-details"),
    *("--disable-log-stats", "--disable-uvicorn-access-log"),
)


def main() -> int:
    """Runs `vllm serve`; 1, and a sentence on stderr, without vLLM."""
    given, further = _options()
    if importlib.util.find_spec("vllm") is None:
        print(MISSING, file=sys.stderr)
        return 1
    # The calls that hand over weights are among those that vLLM has for development.
    os.environ.update(VLLM_SERVER_DEV_MODE="1", VLLM_NO_USAGE_STATS="1")
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    from vllm.entrypoints.cli.main import main as vllm
    from vllm.platforms import current_platform

    sys.argv = ["vllm", *serve_arguments(given.model, given.max_model_len, current_platform.is_cpu(), further)]
    vllm()
    return 0


def serve_arguments(model: str, max_model_len: int, cpu: bool, further: Sequence[str]) -> list[str]:
    """The words behind `vllm`; ``further`` ones stand last and win."""
    passes = []
    if cpu:
        pass_length = whole_prompts(max_model_len)["max_num_batched_tokens"]
        passes = ["--no-enable-chunked-prefill", f"--max-num-batched-tokens={pass_length}"]
    served = ["serve", model, "--host=127.0.0.1", f"--max-model-len={max_model_len}"]
    return [*served, *FIXED, *passes, *further]


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("model", help="the model that is trained")
    parser.add_argument(
        "--max-model-len", type=int, default=32768, help="rollout.max_prompt_tokens + rollout.max_response_tokens"
    )
    return parser.parse_known_args()


if __name__ == "__main__":
    run_program(main)
