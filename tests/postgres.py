"""A PostgreSQL server on a free port of loopback, in a temporary folder, with a password; for tests."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD = "synthgap", "pg-secret@of:a/test"
QUOTED = "pg-secret%40of%3Aa%2Ftest"


def programs() -> Path:
    """The folder of initdb and postgres; skips the test where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return folders[-1]


@contextmanager
def server(*databases: str) -> Iterator[str]:
    """``user:password@host:port`` of a server with these databases. Root runs it as the user ``postgres``."""
    place, bin_ = Path(tempfile.mkdtemp(prefix="synthgap-postgres-")), programs()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(place, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (place / "password").write_text(PASSWORD)
    (place / "password").chmod(0o644)
    data, secret = f"--pgdata={place}/data", f"--pwfile={place}/password"
    how = ["--auth=scram-sha-256", "--no-locale", "--encoding=UTF8", "--no-sync"]
    subprocess.run(
        [bin_ / "initdb", data, f"--username={USER}", secret, *how], check=True, capture_output=True, user=user, cwd="/"
    )
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    command = [bin_ / "postgres", "-D", place / "data", *(f"--{name}={value}" for name, value in options.items())]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd="/")
    try:
        for name in databases:
            _create(bin_, port, name)
        yield f"{USER}:{QUOTED}@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # SIGTERM would wait for the connections of clients
        process.wait(60)
        shutil.rmtree(place)


def _create(bin_: Path, port: int, name: str) -> None:
    """Create a database as soon as the server answers."""
    command = [bin_ / "createdb", "--host=127.0.0.1", f"--port={port}", f"--username={USER}", "--no-password", name]
    end = time.monotonic() + 120
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    while (done := subprocess.run(command, capture_output=True, text=True, env=environment, check=False)).returncode:
        assert time.monotonic() < end, done.stderr
        time.sleep(0.2)
