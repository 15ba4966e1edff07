"""The endpoint over HTTP, asked by OpenAI's own client, in front of a completion server that follows a script."""

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
from envtune.serving.gate import Gate

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def openai_client(client: TestClient, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url="http://testserver/v1", api_key=key, http_client=client, max_retries=0)


def ask(client: TestClient, **given: Any) -> Any:
    return openai_client(client).chat.completions.create(**({"model": MODEL, "messages": HELLO} | given))


def test_tools_go_in_calls_come_out_and_results_lead_to_an_answer(tokenizer: Any) -> None:
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


def test_what_one_client_continues_never_holds_what_was_hidden_from_it_in_the_reply_to_another(tokenizer: Any) -> None:
    """A conversation was found by its visible text alone, so that the latest reply with that text stood in for all."""
    replies = [f"<think>I am the {name}.</think><answer>Done.</answer>" for name in ("first", "second")]
    server = ScriptedServer(tokenizer, *replies, *[ANSWER] * 4)
    with client_of(tokenizer, server.app) as client:
        answers = [ask(client).choices[0].message for _ in range(2)]
        for answer in answers:
            seen = {"role": "assistant", "content": answer.content}
            ask(client, messages=[*HELLO, seen, *HELLO])
        for answer in answers:
            # As clients do that send the message back as it came.
            ask(client, messages=[*HELLO, answer, *HELLO])
    first, second, *restored = (tokenizer.decode(body["prompt"]) for body in server.bodies[2:])
    assert "I am the" not in first
    assert "I am the" not in second
    assert ["I am the first." in restored[0], "I am the second." in restored[0]] == [True, False]
    assert ["I am the first." in restored[1], "I am the second." in restored[1]] == [False, True]


def test_a_conversation_that_the_client_names_goes_on_with_what_was_hidden(tokenizer: Any) -> None:
    server = ScriptedServer(tokenizer, "<think>I am hidden.</think><answer>Done.</answer>", ANSWER)
    with client_of(tokenizer, server.app) as client:
        ask(client, prompt_cache_key="my conversation")
        seen = {"role": "assistant", "content": "Done."}
        ask(client, messages=[*HELLO, seen, *HELLO], prompt_cache_key="my conversation")
    assert "I am hidden." in tokenizer.decode(server.bodies[1]["prompt"])


def test_a_clipped_response_says_so(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app) as client:
        answer = ask(client, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 4
    assert ANSWER.startswith(answer.choices[0].message.content)


def test_a_completion_gets_what_is_left_of_the_window(tokenizer: Any) -> None:
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


def test_the_one_model_is_listed_and_no_other_answers(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer).app) as client:
        assert [model.id for model in openai_client(client).models.list()] == [MODEL]
        with pytest.raises(openai.NotFoundError, match="the one served here is 'toy'"):
            ask(client, model="gpt")


def test_health_follows_the_completion_server(tokenizer: Any) -> None:
    alive = [True]
    with client_of(tokenizer, ScriptedServer(tokenizer).app, is_alive=lambda: alive[0], api_key="k") as client:
        assert client.get("/health").status_code == 200
        alive[0] = False
        assert client.get("/health").status_code == 503


def test_a_key_is_asked_for_if_there_is_one(tokenizer: Any) -> None:
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


def test_a_get_is_no_way_to_ask(tokenizer: Any) -> None:
    with client_of(tokenizer, ScriptedServer(tokenizer).app) as client:
        response = client.get(CHAT)
    assert response.status_code == 405
    assert "error" in response.json()


def test_a_failing_completion_server_is_told_apart_from_a_bad_request(tokenizer: Any) -> None:
    server = ScriptedServer(tokenizer)
    with client_of(tokenizer, server.app) as client:
        for status, told in ((500, 502), (429, 503)):
            server.status = status
            with pytest.raises(openai.InternalServerError) as error:
                ask(client)
            assert error.value.status_code == told
            assert error.value.type == "server_error"


def test_a_mistake_of_our_own_is_an_answer_too(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr("envtune.serving.endpoint.read_reply", fail)
    with client_of(tokenizer, ScriptedServer(tokenizer, ANSWER).app) as client:
        with pytest.raises(openai.InternalServerError) as error:
            ask(client)
        assert error.value.status_code == 500
        assert "a mistake" not in error.value.message


def test_every_one_of_many_clients_gets_an_answer_or_is_told_to_come_back(tokenizer: Any) -> None:
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
