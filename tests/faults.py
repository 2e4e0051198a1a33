"""A proxy in front of a server that fails on purpose: before a thing is done, or after it, with the answer lost.

Every fault is told which request it is for: a number counted from the moment the fault was set, beginning with 1,
or bytes that the request contains (`server.commit` of an SqlServer, `b"PUT /bucket/ledger/checkpoint"`). It strikes
once, or `times` times.

A request is one HTTP request of any connection (`http=True`: its head is searched for the bytes), or, for a database,
whatever a client says until the server answers. Clients must not encrypt.
"""

import contextlib
import select
import socket
import threading
from dataclasses import dataclass
from typing import BinaryIO, Literal

Kind = Literal["swallow_answer", "cut_request", "fail_answer"]
SERVER_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Fault:
    """What happens, to which request, and how often it still does."""

    kind: Kind
    request: int | bytes
    times: int

    def hits(self, number: int, text: bytes) -> bool:
        if isinstance(self.request, bytes):
            return self.times > 0 and self.request in text
        return self.request <= number < self.request + self.times


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes everything on, until told otherwise. Close it, or use `with`."""

    def __init__(self, upstream_host: str, upstream_port: int, http: bool = False) -> None:
        self._upstream = (upstream_host, upstream_port)
        self._serve = self._serve_http if http else self._serve_turns
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._refusing = False
        self._fault: Fault | None = None
        self.requests = 0
        """Requests since the last change of mode."""
        self.struck = 0
        """How often the present fault has struck."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host, self.port = self._listener.getsockname()
        self.endpoint = f"http://{self.host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pass_through(self) -> None:
        """No fault."""
        self._set(None)

    def refuse(self) -> None:
        """Drop every connection there is, and close new ones at once: the server is away."""
        self._set(None, refusing=True)
        self._drop_all()

    def swallow_answer(self, request: int | bytes, times: int = 1) -> None:
        """Done, and the answer lost: the server does it, then the connection is dropped instead of its answer."""
        self._set(Fault("swallow_answer", request, times))

    def cut_request(self, request: int | bytes, times: int = 1) -> None:
        """Not done: the connection is dropped before the server sees the request."""
        self._set(Fault("cut_request", request, times))

    def fail_answer(self, request: int | bytes, times: int = 1) -> None:
        """Done, and denied: the server does it, the client reads status 500. HTTP only."""
        self._set(Fault("fail_answer", request, times))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_all()

    def _set(self, fault: Fault | None, refusing: bool = False) -> None:
        with self._lock:
            self._fault, self._refusing, self.requests, self.struck = fault, refusing, 0, 0

    def _drop_all(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _count(self, text: bytes, begins: bool = True) -> Kind | None:
        """Count a request where one begins, and say what shall happen to it."""
        with self._lock:
            self.requests += begins
            if self._fault is None or not self._fault.hits(self.requests, text):
                return None
            self.struck += 1
            if isinstance(self._fault.request, bytes):
                self._fault.times -= 1
            return self._fault.kind

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._upstream) as server:
            with self._lock:
                if self._refusing:
                    return
                self._open |= {client, server}
            try:
                self._serve(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _serve_turns(self, client: socket.socket, server: socket.socket) -> None:
        asking = False
        fate: Kind | None = None
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(1 << 16)
                if not data:
                    return
                if source is client:
                    # What the client says in several pieces before an answer comes stays one request.
                    fate = fate or self._count(data, begins=not asking)
                    asking = True
                    if fate == "cut_request":
                        return
                    server.sendall(data)
                else:
                    if fate:
                        return
                    asking = False
                    client.sendall(data)

    def _serve_http(self, client: socket.socket, server: socket.socket) -> None:
        with client.makefile("rb") as asked, server.makefile("rb") as answered:
            while head := read_head(asked):
                # Answered here, so that a request is one message each way. S3 does not sign this header.
                if header(head, b"expect"):
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    head = without(head, b"expect")
                request = head + read_body(asked, head)
                fate = self._count(head)
                if fate == "cut_request":
                    return
                server.sendall(request)
                answer = read_answer(answered, head.startswith(b"HEAD "))
                if fate == "fail_answer":
                    client.sendall(SERVER_ERROR)
                if fate or not answer:
                    return
                client.sendall(answer)


def read_head(stream: BinaryIO) -> bytes:
    """The first line and the headers with the empty line after them; nothing when the connection has ended."""
    head = b""
    while line := stream.readline():
        head += line
        if line in (b"\r\n", b"\n"):
            return head
    return b""


def read_body(stream: BinaryIO, head: bytes) -> bytes:
    """The body that this head announces, as it is on the wire (RFC 9112, section 6)."""
    if b"chunked" in header(head, b"transfer-encoding").lower():
        body = b""
        while size := int((line := stream.readline()).split(b";")[0] or b"0", 16):
            body += line + stream.read(size + 2)
        return body + line + read_head(stream)
    return stream.read(int(header(head, b"content-length") or 0))


def read_answer(stream: BinaryIO, to_head: bool) -> bytes:
    """The final answer, past any 1xx."""
    while head := read_head(stream):
        status = head.split()[1]
        if status.startswith(b"1"):
            continue
        return head if to_head or status in (b"204", b"304") else head + read_body(stream, head)
    return b""


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header, or nothing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def without(head: bytes, name: bytes) -> bytes:
    return b"\r\n".join(line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() != name)
