"""The endpoint over HTTP with OpenAI's client, in front of a scripted completion server."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from stand_ins import END, HELLO, LS_TOOL, MODEL, ScriptedServer, client_of
from starlette.testclient import TestClient
from toy_world import ANSWER, LS, STYLE

from envtune.chat.template import Template
from envtune.serving.chat_request import Limits
from envtune.serving.documents import read_tools
from envtune.serving.http import Gate

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def openai_client(client: TestClient, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url="http://testserver/v1", api_key=key, http_client=client, max_retries=0)


def ask(client: TestClient, **given: Any) -> Any:
    return openai_client(client).chat.completions.create(**({"model": MODEL, "messages": HELLO} | given))


def test_a_conversation_with_tools_calls_and_results(tokenizer: Any) -> None:
    server = ScriptedServer(tokenizer, LS, ANSWER)
    with client_of(tokenizer, server.app) as client:
        first = ask(client, tools=[LS_TOOL], temperature=0, top_p=0.5, seed=3, max_tokens=60).choices[0]
        (call,) = first.message.tool_calls
        assert (first.finish_reason, call.function.name, json.loads(call.function.arguments)) == (
            "tool_calls",
            "ls",
            {},
        )
        result = {"role": "tool", "tool_call_id": call.id, "content": "a.txt"}
        second = ask(client, tools=[LS_TOOL], messages=[*HELLO, first.message, result])
    assert (second.choices[0].finish_reason, second.choices[0].message.content) == ("stop", "Done.")
    assert second.choices[0].message.tool_calls is None
    body, later = server.bodies
    template = Template(tokenizer, STYLE, 200)
    opening = template.open("Hello.", read_tools([LS_TOOL], 1))
    assert body["prompt"] == opening
    assert (body["temperature"], body["top_p"], body["seed"], body["max_tokens"]) == (0.0, 0.5, 3, 60)
    assert body["stop_token_ids"] == [END]
    assert later["prompt"] == [*opening, *tokenizer.encode(LS), END, *template.append("[1] ls: a.txt")]
    assert second.usage.prompt_tokens == len(later["prompt"])
    assert second.usage.completion_tokens == len(tokenizer.encode(ANSWER)) + 1


def test_without_tools_calls_are_text(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer, LS).app) as client:
        choice = ask(client).choices[0]
    assert (choice.finish_reason, choice.message.content, choice.message.tool_calls) == ("stop", "[ls()]", None)


def test_thoughts_of_a_reply_never_reach_another_client(tokenizer: Any) -> None:
    replies = [f"<think>I am the {name}.</think><answer>Done.</answer>" for name in ("first", "second")]
    server = ScriptedServer(tokenizer, *replies, *[ANSWER] * 4)
    with client_of(tokenizer, server.app) as client:
        answers = [ask(client).choices[0].message for _ in range(2)]
        for answer in answers:
            visible = {"role": "assistant", "content": answer.content}
            ask(client, messages=[*HELLO, visible, *HELLO])
        for answer in answers:
            # Some clients send the whole message back.
            ask(client, messages=[*HELLO, answer, *HELLO])
    first, second, *restored = (tokenizer.decode(body["prompt"]) for body in server.bodies[2:])
    assert "I am the" not in first
    assert "I am the" not in second
    assert ["I am the first." in restored[0], "I am the second." in restored[0]] == [True, False]
    assert ["I am the first." in restored[1], "I am the second." in restored[1]] == [False, True]


def test_a_named_conversation_continues_with_its_thoughts(tokenizer: Any) -> None:
    server = ScriptedServer(tokenizer, "<think>I am hidden.</think><answer>Done.</answer>", ANSWER)
    with client_of(tokenizer, server.app) as client:
        ask(client, prompt_cache_key="my conversation")
        visible = {"role": "assistant", "content": "Done."}
        ask(client, messages=[*HELLO, visible, *HELLO], prompt_cache_key="my conversation")
    assert "I am hidden." in tokenizer.decode(server.bodies[1]["prompt"])


def test_a_clipped_response_has_the_finish_reason_length(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app) as client:
        answer = ask(client, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 4
    assert ANSWER.startswith(answer.choices[0].message.content)


def test_a_completion_is_limited_by_the_rest_of_the_window(tokenizer: Any) -> None:
    prompt = len(Template(tokenizer, STYLE, 200).open("Hello.", ()))
    server = ScriptedServer(tokenizer, ANSWER)
    with client_of(tokenizer, server.app, window=prompt + 3) as client:
        ask(client)
    assert server.bodies[0]["max_tokens"] == 3
    with (
        client_of(tokenizer, server.app, window=prompt) as client,
        pytest.raises(openai.BadRequestError, match=f"take {prompt} tokens") as error,
    ):
        ask(client)
    assert error.value.code == "context_length_exceeded"


def test_the_served_model_is_listed_and_others_are_refused(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer).app) as client:
        assert [model.id for model in openai_client(client).models.list()] == [MODEL]
        with pytest.raises(openai.NotFoundError, match="does not exist: use 'toy'"):
            ask(client, model="gpt")


def test_health_is_that_of_the_completion_server(tokenizer: Any) -> None:
    alive = [True]
    with client_of(tokenizer, ScriptedServer(tokenizer).app, is_alive=lambda: alive[0], api_key="k") as client:
        assert client.get("/health").status_code == 200
        alive[0] = False
        assert client.get("/health").status_code == 503


def test_the_key_is_required_if_set(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app, api_key="schlüssel") as client:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic k"},
            {"authorization": "Bearer"},
        ):
            assert client.post(CHAT, json={}, headers=headers).status_code == 401
            assert client.get("/v1/models", headers=headers).status_code == 401
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app, api_key="k") as client:
        with pytest.raises(openai.AuthenticationError, match="Authorization: Bearer KEY"):
            openai_client(client, "wrong").chat.completions.create(model=MODEL, messages=HELLO)  # type: ignore[arg-type]
        openai_client(client, "k").chat.completions.create(model=MODEL, messages=HELLO)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        (CHAT, {"content": b"{", "headers": JSON}, 400),
        (CHAT, {"content": b"[" * 100_000, "headers": JSON}, 400),
        (CHAT, {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        (CHAT, {"content": b"{}"}, 415),
        (CHAT, {"json": {"model": MODEL, "messages": HELLO, "stream": True}}, 400),
        (CHAT, {"json": {"model": MODEL, "messages": HELLO * 2000}}, 413),
        (CHAT, {"content": b" " * 200_001, "headers": JSON}, 413),
        (CHAT, {"content": (b" " * 50_000 for _ in range(100)), "headers": JSON}, 413),
        ("/v1/completions", {"json": {}}, 404),
    ],
)
def test_a_bad_request_gets_openais_error_object(
    tokenizer: Any, path: str, request_: dict[str, Any], status: int
) -> None:
    server = ScriptedServer(tokenizer)
    with client_of(tokenizer, server.app, limits=Limits(64, body_bytes=200_000)) as client:
        response = client.post(path, **request_)
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    assert server.bodies == []


def test_get_is_not_allowed(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer).app) as client:
        response = client.get(CHAT)
    assert response.status_code == 405
    assert "error" in response.json()


def test_a_failure_of_the_completion_server_is_a_server_error(tokenizer: Any) -> None:
    server = ScriptedServer(tokenizer)
    with client_of(tokenizer, server.app) as client:
        for status, expected in ((500, 502), (429, 503)):
            server.status = status
            with pytest.raises(openai.InternalServerError) as error:
                ask(client)
            assert error.value.status_code == expected
            assert error.value.type == "server_error"


def test_an_internal_error_is_a_response_without_details(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr("envtune.serving.endpoint.read_reply", fail)
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app) as client:
        with pytest.raises(openai.InternalServerError) as error:
            ask(client)
        assert error.value.status_code == 500
        assert "a mistake" not in error.value.message


def test_concurrent_clients_get_a_reply_or_a_full_queue(tokenizer: Any) -> None:
    clients = 32
    with client_of(tokenizer, ScriptedServer(tokenizer, *[ANSWER] * clients).app, gate=Gate(2, 4)) as client:

        def outcome(number: int) -> str:
            try:
                return ask(client, messages=[{"role": "user", "content": str(number)}]).choices[0].message.content
            except openai.RateLimitError as error:
                return f"{error.code}: again in {error.response.headers['retry-after']} s"

        with ThreadPoolExecutor(clients) as pool:
            outcomes = Counter(pool.map(outcome, range(clients)))
    assert set(outcomes) <= {"Done.", "queue_full: again in 1 s"}
    assert outcomes["Done."] >= 6
