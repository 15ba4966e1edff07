"""A chat endpoint that answers by a script: what a harness sends and how it goes on, without a model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[Mapping[str, Any]], str]


@contextmanager
def scripted_chat(script: Script, models: tuple[str, ...] = (), key: str | None = None) -> Iterator[str]:
    """The endpoint's URL; ``script`` makes the text of an answer of a request's body. It lists ``models``, and refuses
    that list to who has not the ``key``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if key is not None and self.headers["Authorization"] != f"Bearer {key}":
                self.send_error(401)
                return
            self._say({"object": "list", "data": [{"id": name} for name in models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {"role": "assistant", "content": script(body)}
            self._say(
                {
                    "id": "scripted",
                    "object": "chat.completion",
                    "created": 0,
                    "model": body["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            )

        def _say(self, answer: Mapping[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
