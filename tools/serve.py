"""Serve a policy as an OpenAI-compatible chat endpoint, in the response protocol of its training: docs/serving.md.

    python tools/serve.py runs/<time>                          # its best checkpoint, with the prompts of the run
    python tools/serve.py exported --tool-documents compact    # a model folder
    python tools/serve.py exported --upstream http://127.0.0.1:8001
    python tools/serve.py exported --backend vllm -- --gpu-memory-utilization 0.8

Completions come from a second server, which this command starts and stops: vLLM if it is installed, otherwise
tools/completion_server.py; arguments after `--` are passed to it. If ENVTUNE_API_KEY is set, requests must have that
key; UPSTREAM_API_KEY is the key of a server given as --upstream.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path

import envtune.process_start

from envtune.program import run_program
from envtune.serving.extra import require_extra

require_extra("serve")

import uvicorn  # noqa: E402

from envtune.bearer_key import is_loopback, key_from  # noqa: E402
from envtune.chat.prompt import INSTRUCTIONS, TOOL_DOCUMENTS  # noqa: E402
from envtune.chat.protocol.named import PROTOCOLS, protocol_named  # noqa: E402
from envtune.chat.template import Template  # noqa: E402
from envtune.chat.tokenizer import load_tokenizer  # noqa: E402
from envtune.chat.trained_conversation import differences_from_own  # noqa: E402
from envtune.errors import UserError  # noqa: E402
from envtune.rollout.vllm.guard import GUARD  # noqa: E402
from envtune.serving.chat_request import Limits  # noqa: E402
from envtune.serving.child import HOST, Child, free_port  # noqa: E402
from envtune.serving.endpoint import Endpoint, Served, chat_application  # noqa: E402
from envtune.serving.http import Gate  # noqa: E402
from envtune.serving.listening import http_server  # noqa: E402
from envtune.serving.model_folder import Prompting, ServedModel, find_model  # noqa: E402
from envtune.serving.upstream import Upstream  # noqa: E402
from envtune.training.reporting.library_logging import silence_libraries  # noqa: E402


def main() -> None:
    """Serve until the process is interrupted or terminated."""
    options, for_backend = _options()
    silence_libraries()
    # An exception unwinds the stack, which ends the completion server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = {field.name: getattr(options, field.name) for field in fields(Prompting)}
    chosen = {name: value for name, value in given.items() if value is not None}
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        staged = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="envtune_serve_"))) / "exported"
        model = find_model(options.served, chosen, staged, options.model, options.dtype, options.trust_remote_code)
        _serve(options, for_backend, model, stack)


def _serve(options: argparse.Namespace, for_backend: list[str], model: ServedModel, stack: ExitStack) -> None:
    api_key, upstream_key = key_from("ENVTUNE_API_KEY"), key_from("UPSTREAM_API_KEY")
    tokenizer = load_tokenizer(model.folder, options.trust_remote_code)
    prompting = model.prompting
    protocol = protocol_named(prompting.protocol)
    template = Template(tokenizer, prompting.style, prompting.max_observation_tokens, protocol)
    template.check_vocabulary(model.vocabulary)
    # Before the model is loaded, which takes minutes: early requests wait, and a port in use is an error at once.
    listening = stack.enter_context(_listen(options.host, options.port))
    child = None
    if options.upstream is None:
        child = _start(options, for_backend, model.folder, stack)
        child.wait_until_ready(options.start_timeout)
    url, key = (child.url, child.api_key) if child else (options.upstream, upstream_key)
    upstream = Upstream(url, options.timeout, key)

    async def run() -> None:
        """Answer requests until the command or the completion server ends."""
        windows = [window for window in (model.window, await upstream.connect()) if window]
        if not windows:
            raise UserError(f"neither {model.folder} nor {upstream.url} gives the size of the model's context window")
        limits = Limits(model.prompting.max_completion_tokens, options.max_body_bytes, options.max_messages)
        endpoint = Endpoint(Served(options.name, min(windows), model.end_ids), template, upstream, limits)
        gate = Gate(options.max_running, options.max_waiting)
        app = chat_application(endpoint, gate, lambda: child is None or child.alive, api_key)
        server = http_server(app)
        if child:
            threading.Thread(target=_end_with, args=(child, server), daemon=True).start()
        if not is_loopback(options.host) and api_key is None:
            warning = f"all clients that reach {options.host} have access: set ENVTUNE_API_KEY to require a key"
            print(f"serve: {warning}", file=sys.stderr)
        address = f"http://{options.host}:{options.port}/v1"
        print(f"{options.served}: {model.prompting}", *differences_from_own(template), sep="\n")
        print(f"{options.name} is served at {address}", flush=True)
        try:
            await server.serve(sockets=[listening])
        finally:
            await upstream.close()

    asyncio.run(run())
    if child and not child.alive:
        raise UserError("the completion server has ended: see its output above")


def _start(options: argparse.Namespace, for_backend: list[str], folder: str, stack: ExitStack) -> Child:
    port = free_port()
    common = [folder, "--port", str(port), "--dtype", options.dtype]
    common += ["--trust-remote-code"] if options.trust_remote_code else []
    if options.backend == "vllm" or (options.backend == "auto" and importlib.util.find_spec("vllm")):
        program = [str(Path(sys.executable).with_name("vllm")), "serve"]
        # vLLM's own defaults for sampling, instead of those in the model's folder.
        common += ["--host", HOST, "--generation-config", "vllm", "--served-model-name", options.name]
        # vLLM's own check of the key leaves some of its paths open.
        common += ["--middleware", GUARD]
    else:
        program = [sys.executable, "-m", "envtune.serving.completion_program"]
    try:
        return Child([*program, *common, *for_backend], port, secrets.token_urlsafe(), stack)
    except FileNotFoundError as error:
        raise UserError(
            f"{program[0]} does not exist: run this with the Python of `make vllm`, or add --backend hf"
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen at {host}, port {port} ({error}): choose another --port or --host") from error


def _end_with(child: Child, server: uvicorn.Server) -> None:
    while child.alive:
        time.sleep(0.5)
    server.should_exit = True


def _options() -> tuple[argparse.Namespace, list[str]]:
    """Return the options, and the arguments for the completion server."""
    parser = argparse.ArgumentParser(description="Serve a policy as an OpenAI-compatible chat endpoint.")
    parser.add_argument(
        "served", help="the folder of a run or stage, a .ckpt file, a model folder, or a name on the hub"
    )
    parser.add_argument("--name", default="envtune", help="of the model in requests")
    parser.add_argument("--host", default=HOST, help="the address to listen at; the default accepts this machine only")
    parser.add_argument("--port", type=int, default=8000)
    backend = parser.add_argument_group("completion server")
    backend.add_argument("--upstream", metavar="URL", help="of a running server with the same weights")
    backend.add_argument("--backend", choices=("auto", "vllm", "hf"), default="auto", help="the server to start")
    backend.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of the weights")
    backend.add_argument("--start-timeout", type=float, default=1200.0, metavar="SECONDS")
    backend.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="for one completion")
    backend.add_argument("--model", help="the path of a run's model, if it has moved since the run")
    backend.add_argument("--trust-remote-code", action="store_true", help="run the model's own Python code")
    prompt = parser.add_argument_group("prompt", "default: that of the run, otherwise that of stages 3 and 4")
    prompt.add_argument("--tool-documents", choices=TOOL_DOCUMENTS)
    prompt.add_argument("--instructions", choices=INSTRUCTIONS)
    prompt.add_argument("--protocol", help=f"of responses: {', '.join(PROTOCOLS)}, or a class of your own")
    prompt.add_argument("--max-observation-tokens", type=int, help="the middle of a longer one is cut out")
    prompt.add_argument("--thinking", choices=("on", "off"), help="the chat template's own switch for thoughts")
    prompt.add_argument("--max-completion-tokens", type=int, help="the limit for a request")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-running", type=int, default=64, help="requests in progress at a time")
    limits.add_argument("--max-waiting", type=int, default=256, help="waiting requests; further ones are refused")
    limits.add_argument("--max-messages", type=int, default=1000, help="of a request")
    limits.add_argument("--max-body-bytes", type=int, default=8 * 2**20, help="of a request")
    separator = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    return parser.parse_args(sys.argv[1:separator]), sys.argv[separator + 1 :]


if __name__ == "__main__":
    run_program(main)
