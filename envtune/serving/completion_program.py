"""The completion server as a program, `python -m envtune.serving.completion_program`: see tools/completion_server.py.

tools/serve.py starts it as a module, which does not depend on the working directory.
"""

from __future__ import annotations

import argparse
from typing import Any

import envtune.process_start

from envtune.program import run_program
from envtune.serving.extra import require_extra

require_extra("completion_server")

import torch  # noqa: E402

from envtune.bearer_key import key_from  # noqa: E402
from envtune.serving.completion_server import Model, application  # noqa: E402
from envtune.serving.listening import http_server  # noqa: E402
from envtune.serving.sampler import Sampler  # noqa: E402
from envtune.training.model.weights import load_causal_lm  # noqa: E402
from envtune.training.reporting.library_logging import silence_libraries  # noqa: E402

HOST = "127.0.0.1"


def main() -> None:
    """Load the model and serve its completions until the process is interrupted."""
    options = _options()
    silence_libraries()
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    loaded: Any = load_causal_lm(options.folder, options.dtype, None, options.trust_remote_code)
    loaded.to(device)
    sampler = Sampler(loaded, options.max_batch_size, options.max_cache_tokens)
    api_key = key_from("VLLM_API_KEY")
    config = loaded.config.get_text_config()
    model = Model(options.name, config.vocab_size, config.max_position_embeddings)
    http_server(application(model, sampler, api_key), HOST, options.port).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serves a model folder's completions in token ids on this machine.")
    parser.add_argument("folder", help="a model folder of Hugging Face's, or the name of one on its hub")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--name", default="envtune", help="of the model, in requests")
    parser.add_argument("--dtype", default="auto", help="auto (the folder's), float32 or bfloat16")
    parser.add_argument("--device", default="auto", help="auto (the GPU if there is one), cpu, cuda, cuda:1")
    parser.add_argument("--max-batch-size", type=int, default=64, help="completions sampled together")
    parser.add_argument("--max-cache-tokens", type=int, default=262_144, help="slots of keys and values, in all")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code that comes with the model")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main, "completion_server")
