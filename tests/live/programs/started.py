"""Programs that tests start on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Program:
    """A program that runs on a port of the loopback interface."""

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def wait(self, path: str, is_ready: Callable[[Any], bool]) -> Any:
        """What it answers, as soon as that will do; its log where it never does."""
        for _ in range(300):
            with contextlib.suppress(OSError, ValueError):
                answer = self.get(path)
                if is_ready(answer):
                    return answer
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.url}{path} did not answer as it should: {self.log.read_text()[-3000:]}")

    def query(
        self, expression: str, is_ready: Callable[[Any], bool] = bool, at: float | None = None
    ) -> list[tuple[dict[str, str], float]]:
        """Labels and values of an expression, now or at a moment."""
        asked = {"query": expression} | ({} if at is None else {"time": str(at)})
        path = "/api/v1/query?" + urllib.parse.urlencode(asked)
        answer = self.wait(path, lambda answer: is_ready(answer["data"]["result"]))
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
