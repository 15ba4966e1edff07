"""The engine of a vLLM server started with tools/serve_rollouts.py. Needs no vLLM on the client.

Token ids and log-probs are sent over HTTP, weights through a folder that trainer and server share.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import torch
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.bearer_key import bearer, key_from
from envtune.checked import checked
from envtune.errors import UserError
from envtune.rollout.vllm.engine import Engine, EngineCompletion, EngineError, Timeout
from envtune.rollout.vllm.event_loop import Answer, LoopThread

START = "python tools/serve_rollouts.py MODEL"
# Config fields that must be equal in the models of trainer and server.
SHAPE = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


@checked
class ServedEngine(Engine):
    """An engine that all ranks share. It never sleeps.

    Args:
        url: address of the server, such as http://127.0.0.1:8000.
        tokens: length of the longest sequence, which the server must support.
        timeout: limit for each response, in seconds.
        key_variable: the environment variable with the server's API key; None sends no key.

    Raises:
        UserError: a value is out of range, or ``key_variable`` is not set.
    """

    is_shared = True

    def __init__(self, url: str, tokens: int, timeout: Timeout, key_variable: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise UserError(f"rollout.generator.url={url} is not an address: give a server's, http://HOST:PORT")
        self._key_variable, self._key = key_variable, key_from(key_variable) if key_variable else None
        if key_variable and self._key is None:
            raise UserError(
                f"rollout.generator.key_variable={key_variable} is not set in the environment: export the server's key "
                "in it"
            )
        self._url, self._tokens, self._timeout = url.rstrip("/"), tokens, timeout
        self._loop: LoopThread | None = None
        self._connected = False
        self._session: aiohttp.ClientSession | None = None

    @override
    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        """Return the server's dtype, after a comparison of its model with the trainer's.

        Raises:
            UserError: no server responds at the address, its model differs, or its context is too short.
        """
        try:
            served = self._workers("describe_model", "describe its model")[0]
        except _Absent as error:
            if self._connected:
                raise
            raise UserError(
                f"no vLLM server responds at rollout.generator.url={self._url} ({error.reason}): start one with "
                f"{START}, or give the address of a running one"
            ) from error
        own = model.config.get_text_config()
        for name in SHAPE:
            if served[name] != getattr(own, name):
                raise UserError(
                    f"the server at {self._url} has a model with {name}={served[name]}, and the trainer's has "
                    f"{getattr(own, name)}: start it with the trainer's model, {START}"
                )
        if served["max_model_len"] < self._tokens:
            raise UserError(
                f"the server at {self._url} has room for {served['max_model_len']} tokens, and the longest episode has "
                f"{self._tokens}: start it with --max-model-len {self._tokens}"
            )
        self._connected = True
        return getattr(torch, served["dtype"])

    @override
    def load(self, folder: Path, dtype: torch.dtype) -> None:
        self._workers("receive_weights", "load the weights", str(folder))

    @override
    def reset_cache(self) -> None:
        if not self._call("reset_prefix_cache", "empty its cache")["success"]:
            raise EngineError("could not empty its cache after new weights, because requests still use it")

    @override
    def weight_sums(self) -> list[dict[str, int]]:
        return self._workers("weight_sums", "compute checksums of its weights")

    @override
    def set_weight_version(self, version: str) -> None:
        self._call("update_weight_version", "name its weights", {"new_version": version})

    @override
    def sleep(self) -> None:
        """Do nothing: the server keeps its memory."""

    @override
    def wake_up(self) -> None:
        """Do nothing."""

    @override
    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        body = {"token_ids": ids, "sampling_params": dict(parameters)}
        response = await self._post("inference/v1/generate", "complete a prompt", body)
        sampled, usage = response["choices"][0], response["usage"]
        return EngineCompletion(
            tuple(sampled["token_ids"]),
            tuple(token["logprob"] for token in sampled["logprobs"]["content"]),
            sampled["finish_reason"],
            (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            frozenset(span["version"] for span in sampled["weight_versions"] or ()),
        )

    @override
    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        if self._loop is None:
            self._loop = LoopThread("vllm server")
            atexit.register(self.close)
        return self._loop.run(coroutine)

    @override
    def close(self) -> None:
        """Close the connections. The server keeps running."""
        if self._loop is not None:
            if self._session is not None:
                self._loop.run(self._session.close())
            self._loop.close()
            self._loop = self._session = None
            atexit.unregister(self.close)

    def _workers(self, method: str, purpose: str, *arguments: str) -> list[Any]:
        """Call a method on every worker of the server and return the results."""
        body = {"method": method, "args": arguments, "timeout": self._timeout}
        return self._call("collective_rpc", purpose, body)["results"]

    def _call(self, path: str, purpose: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.run(self._post(path, purpose, body), purpose)

    async def _post(self, path: str, purpose: str, body: Mapping[str, Any] | None) -> Any:
        if self._session is None:
            limits = aiohttp.ClientTimeout(total=self._timeout)
            # The generator limits the number of concurrent requests, so the connector does not.
            self._session = aiohttp.ClientSession(
                timeout=limits, connector=aiohttp.TCPConnector(limit=0), headers=bearer(self._key)
            )
        try:
            # No redirects: they would send the key to another address.
            async with self._session.post(f"{self._url}/{path}", json=body, allow_redirects=False) as response:
                if response.status != 200:
                    raise self._refusal(purpose, response.status, await response.text())
                return await response.json()
        except asyncio.TimeoutError as error:
            raise EngineError(f"at {self._url} did not {purpose} within {self._timeout:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise _Absent(self._url, purpose, str(error)) from error
        except aiohttp.ClientError as error:
            raise EngineError(f"at {self._url} has ended and could not {purpose} ({error!r})") from error

    def _refusal(self, purpose: str, status: int, text: str) -> Exception:
        if status == 404:
            return UserError(
                f"the server at {self._url} cannot {purpose}: it was not started for rollouts; start it with {START}"
            )
        if status == 401 and self._key_variable is None:
            return UserError(
                f"the server at {self._url} requires an API key: export it in an environment variable and set "
                "rollout.generator.key_variable=VLLM_API_KEY"
            )
        if status == 401:
            return UserError(
                f"the server at {self._url} does not accept the key in {self._key_variable} "
                "(rollout.generator.key_variable): export the key of the server"
            )
        return EngineError(f"at {self._url} could not {purpose} (HTTP {status}: {' '.join(text.split())[:300]})")


class _Absent(EngineError):
    """The connection was refused: the server has ended or was never started."""

    def __init__(self, url: str, purpose: str, reason: str) -> None:
        super().__init__(f"at {url} has ended and could not {purpose} ({reason})")
        self.reason = reason
