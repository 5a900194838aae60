"""Starts a service on a port of this machine, waits until it answers, and stops it again."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

HERE = Path(__file__).parent


class Server:
    """A service in processes of its own, as long as the ``with`` block lasts.

    Args:
        command: a Python module and its arguments, ``{port}`` among them: ``uvicorn service:app --port {port}``.
        folder: that train.py has filled; its log and the counts that its workers share are written there, too.
        port: where it answers; a free one without it.

    Attributes:
        port, url: where it answers.
        counts: where its workers share what they count.
    """

    def __init__(self, command: str, folder: Path, port: int | None = None) -> None:
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder = folder.resolve()
        self.counts = folder / "counts"
        self._log = folder / "service.log"
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        settings = {"WAKEFUL_COUNTS": str(self.counts), "PYTHONPATH": path}
        settings["OMP_NUM_THREADS"] = "1"  # the workers share the processors between them
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *shlex.split(command.format(port=self.port))],
                cwd=folder, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        self._wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _wait(self, patience: float = 120.0) -> None:
        until = time.monotonic() + patience
        while time.monotonic() < until and self._process.poll() is None:
            try:
                httpx2.get(f"{self.url}/metrics", timeout=10).raise_for_status()
                return
            except httpx2.HTTPError:
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"The service does not answer:\n{self.log[-2_000:]}")

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self, patience: float = 60.0) -> None:
        """Ask it to end (SIGTERM), as whoever deploys does; kill it where it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
