"""The engine in a vLLM server, which somebody has started with tools/serve_rollouts.py.

Token ids and log-probs pass over HTTP, weights through a folder that trainer and server both see. Needs no vLLM here.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import torch
from transformers import PreTrainedModel

from envtune.bearer_key import bearer, key_from
from envtune.checked import checked
from envtune.errors import UserError
from envtune.rollout.vllm.engine import EngineCompletion, EngineError, Timeout
from envtune.rollout.vllm.event_loop import LoopThread

Answer = TypeVar("Answer")

START = "python tools/serve_rollouts.py MODEL"
# What a trainer's model and the server's must have the same.
SHAPE = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


@checked
class ServedEngine:
    """An ``Engine`` that all training processes share. The server's sleep is not its business.

    Args:
        url: of the server, such as http://127.0.0.1:8000.
        tokens: of the longest sequence; the server must have room for it.
        timeout: seconds for a push of weights, a completion or any other answer.
        key_variable: the environment variable that holds the server's key; None sends none.

    Raises:
        UserError: a value out of range, or no key in that variable; in ``prepare_for``, no such server, or it serves
            another model.
    """

    is_shared = True

    def __init__(self, url: str, tokens: int, timeout: Timeout, key_variable: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise UserError(f"rollout.generator.url={url} is no address: give that of a server, http://HOST:PORT")
        self._key_variable, self._key = key_variable, key_from(key_variable) if key_variable else None
        if key_variable and self._key is None:
            raise UserError(
                f"rollout.generator.key_variable={key_variable}: no such variable is set: export the server's key in it"
            )
        self._url, self._tokens, self._timeout = url.rstrip("/"), tokens, timeout
        self._loop: LoopThread | None = None
        self._known = False
        self._session: aiohttp.ClientSession | None = None

    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        try:
            served = self._workers("describe_model", "describe its model")[0]
        except _Absent as error:
            if self._known:
                raise
            raise UserError(
                f"no vLLM answers at rollout.generator.url={self._url} ({error.reason}): start one with {START}, or "
                "give the address of one that runs"
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
        self._known = True
        return getattr(torch, served["dtype"])

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        self._workers("receive_weights", "take the weights", str(folder))

    def forget(self) -> None:
        if not self._ask("reset_prefix_cache", "empty its cache")["success"]:
            raise EngineError("could not empty its cache after new weights, for requests still use it")

    def weight_sums(self) -> list[dict[str, int]]:
        return self._workers("weight_sums", "sum up its weights")

    def stamp(self, weights: str) -> None:
        self._ask("update_weight_version", "take a name of its weights", {"new_version": weights})

    def rest(self) -> None:
        """The server keeps its memory."""

    def wake(self) -> None:
        """It is awake."""

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        body = {"token_ids": ids, "sampling_params": dict(parameters)}
        answer = await self._post("inference/v1/generate", "complete a prompt", body)
        found, usage = answer["choices"][0], answer["usage"]
        return EngineCompletion(
            tuple(found["token_ids"]),
            tuple(token["logprob"] for token in found["logprobs"]["content"]),
            found["finish_reason"],
            (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            frozenset(span["version"] for span in found["weight_versions"] or ()),
        )

    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        if self._loop is None:
            self._loop = LoopThread("vllm server")
            atexit.register(self.close)
        return self._loop.run(coroutine)

    def close(self) -> None:
        """Ends the connections, not the server."""
        if self._loop is not None:
            if self._session is not None:
                self._loop.run(self._session.close())
            self._loop.close()
            self._loop = self._session = None
            atexit.unregister(self.close)

    def _workers(self, method: str, purpose: str, *arguments: str) -> list[Any]:
        """What every worker of the server answers."""
        body = {"method": method, "args": arguments, "timeout": self._timeout}
        return self._ask("collective_rpc", purpose, body)["results"]

    def _ask(self, path: str, purpose: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.run(self._post(path, purpose, body), purpose)

    async def _post(self, path: str, purpose: str, body: Mapping[str, Any] | None) -> Any:
        if self._session is None:
            limits = aiohttp.ClientTimeout(total=self._timeout)
            # The generator says how many requests there are at a time.
            self._session = aiohttp.ClientSession(
                timeout=limits, connector=aiohttp.TCPConnector(limit=0), headers=bearer(self._key)
            )
        try:
            # Not to where the server points: the key is for this address alone.
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
                f"the server at {self._url} requires a key: export it in a variable and name that, "
                "rollout.generator.key_variable=VLLM_API_KEY"
            )
        if status == 401:
            return UserError(
                f"the server at {self._url} does not accept the key in {self._key_variable} "
                "(rollout.generator.key_variable): export the one that it was started with"
            )
        return EngineError(f"at {self._url} could not {purpose} (HTTP {status}: {' '.join(text.split())[:300]})")


class _Absent(EngineError):
    """Nothing listens there, any more or from the start."""

    def __init__(self, url: str, purpose: str, reason: str) -> None:
        super().__init__(f"at {url} has ended and could not {purpose} ({reason})")
        self.reason = reason
