"""An endpoint of the chain as somebody else may run it: it passes requests on, may hide what is new, may be gone."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from node.core.errors import Unavailable
from node.demo.stage import http

_TAGS: Final = frozenset({"latest", "pending", "safe", "finalized"})


class Endpoint:
    """JSON-RPC at `url` in front of the chain at `truth`, from a thread of its own.

    With `hides_after` it lies as an endpoint can that wants a revocation unseen: for it, that block is the newest and
    the final one. What it says of older blocks is true, and proves itself.
    """

    def __init__(self, truth: str, *, hides_after: int | None = None) -> None:
        self._truth = truth
        self._hides_after = hides_after
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def host(self) -> str:
        """Host and port, as a report names it."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status, told = answer(body)
                except Unavailable:
                    status, told = 502, b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                """Nothing: what matters is in the report."""

        return Handler

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        if self._hides_after is None:
            return http("POST", self._truth, body)
        asked = json.loads(body)
        is_batch = isinstance(asked, list)
        told = [self._untrue(one) for one in (asked if is_batch else [asked])]
        return 200, json.dumps(told if is_batch else told[0]).encode()

    def _untrue(self, asked: dict[str, Any]) -> dict[str, Any]:
        newest = self._hides_after or 0
        given = asked.get("params", [])
        params = [hex(newest) if isinstance(one, str) and one in _TAGS else one for one in given]
        _, body = http("POST", self._truth, json.dumps({**asked, "params": params}).encode())
        told: dict[str, Any] = json.loads(body)
        result = told.get("result")
        if asked["method"] == "eth_blockNumber":
            told["result"] = hex(newest)
        elif asked["method"].startswith("eth_getBlockBy") and result and int(result["number"], 16) > newest:
            told["result"] = None
        return told
