"""A proxy that fails on demand, in front of a real tracking server."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

import pytest
from mlflow import MlflowClient

Fault = Literal["none", "drop", "503", "hang"]

WRITES = ("create_experiment", "create_run", "log_batch", "log_inputs", "log_artifact", "set_terminated", "update_run")
"""Calls of MlflowClient that change a server."""


def on_each_call(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None], after: bool) -> None:
    """Call `act(n)` before or after the n-th call that changes the server."""
    count = 0

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if not after:
                act(count)
            result = original(*args, **kwargs)
            if after:
                act(count)
            return result

        return call

    for name in WRITES:
        monkeypatch.setattr(MlflowClient, name, wrap(getattr(MlflowClient, name)))


class FaultProxy:
    """`url` answers as `upstream` does, except under a `fault`; `requests` counts those that came by path.

    A request that holds the bytes `poison`, where there are some, is answered with a 500.
    """

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = "none"
        self.poison = b""
        self.requests: list[str] = []
        self._ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.fault == "drop":
                    self.close_connection = True
                    return
                if outer.fault == "503":
                    self.send_error(503, "out of order")
                    return
                if outer.poison and outer.poison in self.path.encode() + body:
                    self.send_error(500, "broken")
                    return
                while outer.fault == "hang" and not outer._ended.is_set():
                    time.sleep(0.05)
                outer.requests.append(f"{self.command} {self.path.split('?')[0]}")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                request = urllib.request.Request(
                    upstream + self.path, data=body or None, headers=headers, method=self.command
                )
                try:
                    reply = urllib.request.urlopen(request, timeout=30)
                except urllib.error.HTTPError as error:
                    reply = error
                with reply:
                    content = reply.read()
                    self.send_response(reply.status)
                    self.send_header("Content-Type", reply.headers.get("Content-Type", "application/octet-stream"))
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Says nothing: the tests do."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
