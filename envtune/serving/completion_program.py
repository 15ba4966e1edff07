"""The program of tools/completion_server.py as a module, which tools/serve.py can start from any working directory."""

from __future__ import annotations

import argparse
from typing import Any

import envtune.process_start

from envtune.program import run_program
from envtune.serving.extra import require_extra

require_extra("completion_server")

import torch  # noqa: E402

from envtune.bearer_key import key_from  # noqa: E402
from envtune.serving.completion_server import Model, completion_application  # noqa: E402
from envtune.serving.listening import http_server  # noqa: E402
from envtune.serving.sampler import Sampler  # noqa: E402
from envtune.training.model.weights import load_causal_lm  # noqa: E402
from envtune.training.reporting.library_logging import silence_libraries  # noqa: E402

HOST = "127.0.0.1"


def main() -> None:
    """Load the model and serve completions until the process is interrupted."""
    parser = argparse.ArgumentParser(description="Serves a model's completions in token ids on this machine.")
    parser.add_argument("folder", help="a model folder, or the name of a model on the Hugging Face hub")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--name", default="envtune", help="name of the model in requests")
    parser.add_argument("--dtype", default="auto", help="auto (that of the folder), float32 or bfloat16")
    parser.add_argument("--device", default="auto", help="auto (the GPU if available), cpu, cuda, cuda:1")
    parser.add_argument("--max-batch-size", type=int, default=64, help="completions per batch")
    parser.add_argument("--max-cache-tokens", type=int, default=262_144, help="size of the KV cache in tokens")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code that comes with the model")
    options = parser.parse_args()
    silence_libraries()
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    loaded: Any = load_causal_lm(options.folder, options.dtype, None, options.trust_remote_code)
    loaded.to(device)
    sampler = Sampler(loaded, options.max_batch_size, options.max_cache_tokens)
    api_key = key_from("VLLM_API_KEY")
    config = loaded.config.get_text_config()
    model = Model(options.name, config.vocab_size, config.max_position_embeddings)
    http_server(completion_application(model, sampler, api_key), HOST, options.port).run()


if __name__ == "__main__":
    run_program(main, "completion_server")
