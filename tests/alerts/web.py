"""A local HTTP server that keeps what is posted to it, and can be told to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Inbox:
    """Answers every POST with `status`; `posts` holds the JSON bodies of those that it answered with 200."""

    def __init__(self) -> None:
        self.status = 200
        self.refuse = ""
        """A message that contains this is answered with 400."""
        self.posts: list[Any] = []
        self.tries = 0
        self._arrived = threading.Condition()
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                body = json.loads(text)
                status = 400 if inbox.refuse and inbox.refuse in text else inbox.status
                self.send_response(status)
                self.end_headers()
                with inbox._arrived:
                    inbox.tries += 1
                    if status == 200:
                        inbox.posts.append(body)
                    inbox._arrived.notify_all()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """host:port."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def wait(self, enough: Callable[[Self], bool], seconds: float = 60.0) -> None:
        """Wait until `enough` holds; raise TimeoutError when it does not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: enough(self), seconds):
                raise TimeoutError(f"after {seconds} s and {self.tries} tries there were: {self.posts}")
