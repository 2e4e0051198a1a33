"""Places that checkpoints are shown to, real or made here to the letter of their specification, on 127.0.0.1."""

import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.merkle import EMPTY_ROOT, consistency_holds
from lifecycle.evidence.notes import COSIGNATURE, Verifier, cosigned_message, signature_line

Answer = tuple[int, bytes]


@contextmanager
def served(answer: Callable[[str, bytes], Answer]) -> Iterator[str]:
    """An HTTP server that answers POSTs; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Witness:
    """add-checkpoint of C2SP tlog-witness, for one log."""

    def __init__(self, log: Verifier) -> None:
        self._log, self._key = log, Ed25519PrivateKey.generate()
        self.verifier = Verifier("witness.example/w", self._key.public_key().public_bytes_raw(), COSIGNATURE)
        self.size, self.root = 0, EMPTY_ROOT
        self.asked: list[int] = []
        self.forges = False

    def answer(self, path: str, body: bytes) -> Answer:
        assert path == "/add-checkpoint"
        head, _, note = body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        old = int(first.removeprefix("old "))
        self.asked.append(old)
        checkpoint = Checkpoint.verified("submitted", note, [self._log])
        if old != self.size:
            return 409, f"{self.size}\n".encode()
        hashes = [b64decode(line) for line in proof]
        if not consistency_holds(old, checkpoint.size, self.root, checkpoint.root, hashes):
            return 422, b""
        self.size, self.root = checkpoint.size, checkpoint.root
        seconds = 1_800_000_000
        signature = bytes(64) if self.forges else self._key.sign(cosigned_message(checkpoint.text, seconds))
        return 200, signature_line(self.verifier, seconds.to_bytes(8, "big") + signature).encode()


class TimeStamper:
    """An RFC 3161 authority by `openssl ts`, its certificate signed by a root of its own.

    It sends its own certificate only: openssl 3.0 writes several out of DER's order, which strict readers refuse.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root.pem"
        config = folder / "tsa.cnf"
        (folder / "serial").write_text("01\n")
        config.write_text(
            "[req]\ndistinguished_name=name\n[name]\n"
            "[tsa_ext]\nextendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"
            "[ca_ext]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n"
            "[tsa]\ndefault_tsa=one\n[one]\n"
            f"serial={folder}/serial\ncrypto_device=builtin\nsigner_cert={folder}/tsa.pem\n"
            f"signer_key={folder}/tsa.key\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha512\n"
            "accuracy=secs:1\nordering=no\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n"
        )
        new = "req -new -newkey rsa:2048 -nodes -sha256 -days 3650"
        self._openssl(f"{new} -x509 -subj /CN=root -keyout root.key -out root.pem -config tsa.cnf -extensions ca_ext")
        self._openssl(f"{new} -subj /CN=tsa -keyout tsa.key -out tsa.csr -config tsa.cnf".replace("-days 3650", ""))
        sign = "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 -sha256"
        self._openssl(f"{sign} -out tsa.pem -extfile tsa.cnf -extensions tsa_ext")

    def answer(self, _path: str, body: bytes) -> Answer:
        (self.folder / "query").write_bytes(body)
        self._openssl("ts -reply -config tsa.cnf -queryfile query -out reply")
        return 200, (self.folder / "reply").read_bytes()

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)
