"""Slow and silent connections on a real socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import httpx2
import pytest
from stand_ins import HELLO, MODEL, ScriptedServer, endpoint_of, listening
from toy_world import ANSWER

from envtune.serving.http import Gate

CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": MODEL, "messages": HELLO}).encode()
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n".encode()


@pytest.fixture
def port(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of an endpoint for one running and no waiting request."""
    monkeypatch.setattr("envtune.serving.listening.HEAD_SECONDS", 0.2)
    server = ScriptedServer(tokenizer, *[ANSWER] * 4)
    with listening(endpoint_of(tokenizer, server.app, gate=Gate(1, 0), api_key="key")) as port:
        yield port


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.settimeout(60)
    return connection


def status(connection: socket.socket) -> int:
    """Read a response and return its status."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def ask(port: int) -> int:
    headers = {"authorization": "Bearer key", "content-type": "application/json"}
    return httpx2.post(f"http://127.0.0.1:{port}{CHAT}", content=BODY, headers=headers, timeout=60).status_code


@pytest.mark.parametrize("sent", [b"", b"POST /v1/chat", HEAD])
def test_a_connection_without_a_complete_head_is_closed(port: int, sent: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""
    assert ask(port) == 200


def test_the_rest_of_a_refused_body_does_not_keep_the_connection_open(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD + b"\r\n" + BODY[:5])
        assert status(connection) == 401
        connection.sendall(BODY[5:10])
        assert connection.recv(1) == b""


def test_a_connection_stays_open_between_requests_and_during_a_body(port: int) -> None:
    whole = HEAD + b"Authorization: Bearer key\r\n\r\n" + BODY
    with connect(port) as connection:
        for _ in range(2):
            for part in (whole[:-9], whole[-9:]):
                connection.sendall(part)
                time.sleep(0.5)
            assert status(connection) == 200
            time.sleep(0.5)


def test_slow_bodies_do_not_occupy_the_queue(port: int) -> None:
    slow = [connect(port) for _ in range(20)]
    for connection in slow:
        connection.sendall(HEAD + b"Authorization: Bearer key\r\n\r\n" + BODY[:9])
    # The server has read these bytes, since it responds to later requests.
    assert [ask(port) for _ in range(3)] == [200, 200, 200]
    slow[0].sendall(BODY[9:])
    assert status(slow[0]) == 200
    for connection in slow:
        connection.close()
