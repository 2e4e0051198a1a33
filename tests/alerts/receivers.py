"""Who receives alerts in tests: a web server and a mail server of this process, real ones on 127.0.0.1."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from tests.servers import HOST, free_port


class Webhook:
    """Keeps what was posted. `answer`: a status, or None to hang up after reading, so that the answer is lost."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: int | None = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append(json.loads(body))
                receiver.headers.append(dict(self.headers))
                if receiver.answer is None:
                    self.close_connection = True
                    return
                self.send_response(receiver.answer)
                if receiver.answer == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}/hook/hunter2"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Mailbox:
    """An aiosmtpd handler. `answer`: what is said to a message that was taken in."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.taken.append(envelope)
        return self.answer


@contextmanager
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def mailbox(host: str = HOST) -> Iterator[tuple[Mailbox, str]]:
    """A mail server and its URL."""
    box = Mailbox()
    server = Controller(box, hostname=host, port=free_port())
    server.start()
    try:
        yield box, f"smtp://{host}:{server.server.sockets[0].getsockname()[1]}"
    finally:
        server.stop()
