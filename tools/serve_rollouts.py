"""Start vLLM as a sampling server for `rollout=vllm_server`, until it is interrupted.

    make vllm                                                 # vLLM in an environment of its own, .venv-vllm-gpu
    .venv-vllm-gpu/bin/python tools/serve_rollouts.py path/to/model --max-model-len 32768
    python train.py rollout=vllm_server model=hf model.path=path/to/model

The model is a folder in Hugging Face's format or a name on its hub, and must be the trained model; the trainer replaces
the weights before the first rollout. All further options are those of `vllm serve`, such as --port, --dtype,
--gpu-memory-utilization or --tensor-parallel-size.

A client of the server can replace its weights with those of any folder. The server accepts connections from this
machine only, unless --host is given, which requires a key; set a key as well on a machine with other users:

    export VLLM_API_KEY=$(openssl rand -hex 32)   # for both commands
    python tools/serve_rollouts.py path/to/model --host 0.0.0.0
    python train.py rollout=vllm_server rollout.generator.key_variable=VLLM_API_KEY …
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import envtune.process_start

from envtune.bearer_key import is_loopback, key_from
from envtune.errors import UserError
from envtune.model_path import require_weights
from envtune.program import run_program
from envtune.rollout.vllm.guard import GUARD, KEY_VARIABLE
from envtune.rollout.vllm.own_engine import WORKER, whole_prompts
from envtune.rollout.vllm.vllm_python import require_vllm

# Options of `vllm serve` that would bypass the key.
REFUSED = {
    "--api-key": f"every user of this machine can read it in the list of processes: set {KEY_VARIABLE} instead",
    "--grpc": "that server does not check a key: rollouts use HTTP",
}
FIXED = (
    *("--worker-extension-cls", WORKER, "--tokens-only", "--skip-tokenizer-init", "--enable-prefix-caching"),
    *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--enable-prompt-tokens-details"),
    *("--disable-log-stats", "--disable-uvicorn-access-log"),
)


def main() -> None:
    """Check the options and run `vllm serve`."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("model", help="the trained model")
    parser.add_argument(
        "--max-model-len", type=int, default=32768, help="rollout.max_prompt_tokens + rollout.max_response_tokens"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help=f"the address to listen at; other machines need {KEY_VARIABLE}"
    )
    given, further = parser.parse_known_args()
    check(given.host, further)
    require_weights(given.model)
    start(given, further)


def start(given: argparse.Namespace, further: Sequence[str]) -> None:
    """Run `vllm serve` in this process."""
    # vLLM offers the endpoints that receive weights in its development mode only; its Rust server has no guard.
    os.environ.update(VLLM_SERVER_DEV_MODE="1", VLLM_NO_USAGE_STATS="1", VLLM_USE_RUST_FRONTEND="0")
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    from vllm.entrypoints.cli.main import main as vllm
    from vllm.platforms import current_platform

    sys.argv = ["vllm", *serve_arguments(given, current_platform.is_cpu(), further)]
    vllm()


def check(host: str, further: Sequence[str]) -> None:
    """Raise UserError if vLLM is not installed, or if other machines could reach the server without a key."""
    require_vllm("the server", "sample with rollout=hf")
    if key_from(KEY_VARIABLE) is None and not is_loopback(host):
        raise UserError(
            f"--host {host} is open to other machines, which could replace the weights: set {KEY_VARIABLE} to a key, "
            "or listen at 127.0.0.1"
        )
    for word in further:
        for option, reason in REFUSED.items():
            if word.replace("_", "-").startswith(option):
                raise UserError(f"{option} is not allowed: {reason}")


def serve_arguments(given: argparse.Namespace, cpu: bool, further: Sequence[str]) -> list[str]:
    """Return the arguments of `vllm`. ``further`` arguments override the fixed ones, but not --host."""
    passes = []
    if cpu:
        pass_length = whole_prompts(given.max_model_len)["max_num_batched_tokens"]
        passes = ["--no-enable-chunked-prefill", f"--max-num-batched-tokens={pass_length}"]
    served = ["serve", given.model, f"--max-model-len={given.max_model_len}", "--middleware", GUARD]
    return [*served, *FIXED, *passes, *further, f"--host={given.host}"]


if __name__ == "__main__":
    run_program(main)
