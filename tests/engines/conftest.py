"""A real PostgreSQL server for the tests of engines."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from adbc_driver_postgresql import dbapi

PASSWORD = "geheim"


class Server(NamedTuple):
    """A running server.

    Attributes:
        port: on the loopback interface.
        binaries: folder of its programs.
        folder: where its data lie.
        account: options of subprocess that make it run as somebody whom PostgreSQL accepts.
    """

    port: int
    binaries: Path
    folder: Path
    account: dict[str, Any]

    @property
    def url(self) -> str:
        return f"postgresql://wakeful:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> None:
        """Execute statements and commit them."""
        with dbapi.connect(self.url) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def control(self, *arguments: str) -> None:
        """Start or stop it; RuntimeError with its log where it does not."""
        log = self.folder / "log"
        command = [self.binaries / "pg_ctl", "-D", self.folder / "data", "-l", log, "-w", "-t", "30", *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **self.account)
        if done.returncode:
            said = log.read_text(encoding="utf-8") if log.exists() else ""
            raise RuntimeError(f"{command}: {done.stderr!r}\n{said}")

    def start(self) -> None:
        here = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.control("-o", here, "start")

    def stop(self) -> None:
        self.control("-m", "immediate", "stop")


def _binaries() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them out of PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: float(one.parts[-3]))
    found = [*(str(one) for one in newest), *filter(None, [shutil.which("initdb")])]
    return Path(found[-1]).resolve().parent if found else None


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: its own user, or nobody."""
    if os.getuid() != 0:
        return {}
    names = {one.pw_name for one in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def server(real_component: Any) -> Iterator[Server]:
    """PostgreSQL on a free port, in a folder of its own, gone afterwards."""
    binaries = _binaries()
    real_component(binaries is not None, "PostgreSQL", "apt-get install postgresql")
    assert binaries is not None
    folder, account = Path(tempfile.mkdtemp(prefix="wakeful-postgresql-")), _account()
    if account:
        os.chown(folder, account["user"], account["group"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(port, binaries, folder, account)
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", "-U", "wakeful", "-A", "scram-sha-256", "-E", "UTF8",
             "--no-locale", "--no-sync", f"--pwfile={secret}"],
            stdout=subprocess.DEVNULL, check=True, cwd="/", **account,
        )  # fmt: skip
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
