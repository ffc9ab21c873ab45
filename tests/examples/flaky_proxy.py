"""A proxy in front of a gateway that loses requests and answers, as a mobile network and an overloaded server do."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["request lost", "answer lost", "503", "429"]


@contextmanager
def flaky_proxy(gateway: str, *faults: Fault) -> Iterator[str]:
    """The address of a proxy for `gateway`; each claim meets the next of `faults`, until none is left."""
    left = list(faults)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*self._forwarded())

        def do_POST(self) -> None:
            fault = left.pop(0) if left and self.path.endswith("/claims") else None
            if fault == "request lost":
                self.close_connection = True
            elif fault == "answer lost":
                self._forwarded()
                self.close_connection = True
            elif fault is not None:
                self._answer(int(fault), {"Retry-After": "1"}, b'{"code":"unavailable"}')
            else:
                self._answer(*self._forwarded())

        def _forwarded(self) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(urlsplit(gateway).netloc, timeout=10)
            try:
                authorization = self.headers.get("Authorization")
                headers = {} if authorization is None else {"Authorization": authorization}
                connection.request(self.command, self.path, headers=headers)
                response = connection.getresponse()
                retry_after = response.getheader("Retry-After")
                kept = {} if retry_after is None else {"Retry-After": retry_after}
                return response.status, kept, response.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
    assert not left, f"never met: {left}"
