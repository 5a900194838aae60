"""The compiled folder, tried on this machine: Prometheus, and Alertmanager and Grafana where they are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from wakeful.compile import stack
from wakeful.errors import DataError

__all__ = ["up"]

_PATIENCE = 60.0  # seconds until a program has to answer


class _Program(NamedTuple):
    """One of the three.

    Attributes:
        called: its commands, as packages name them.
        port: on which it usually listens.
        ready: path that answers once it is there.
        install: how to get it.
    """

    called: tuple[str, ...]
    port: int
    ready: str
    install: str


_PROMETHEUS = _Program(("prometheus",), 9090, "/-/ready", "sudo apt-get install prometheus, or prometheus.io/download")
_ALERTMANAGER = _Program(
    ("alertmanager", "prometheus-alertmanager"),
    9093,
    "/-/ready",
    "sudo apt-get install prometheus-alertmanager, or prometheus.io/download",
)
_GRAFANA = _Program(("grafana-server",), 3000, "/api/health", "grafana.com/grafana/download")


def up(folder: Path, data: Path | None, tell: Callable[[str], object]) -> None:
    """Run what a folder was compiled for until it is interrupted, on the loopback interface.

    Args:
        folder: that ``wakeful compile`` wrote.
        data: Prometheus' own folder, such as one with back-filled blocks; without it, nothing is kept.
        tell: is given a line for each program, as soon as it answers, and for each that is not installed.

    Raises:
        DataError: the folder holds nothing that was compiled, Prometheus is not installed, or a program ended.
    """
    if not (folder / "prometheus.yml").is_file():
        raise DataError(f"{folder} holds no prometheus.yml. Write it with: wakeful compile MONITOR.py --out {folder}")
    with ExitStack() as running:
        own = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="wakeful-up-")))
        ports = {one: _free(one.port) for one in (_PROMETHEUS, _ALERTMANAGER, _GRAFANA)}
        commands = {
            _PROMETHEUS: _prometheus(folder, own, data, ports),
            _ALERTMANAGER: _alertmanager(folder, own, ports[_ALERTMANAGER]),
            _GRAFANA: _grafana(folder, own, ports),
        }
        started = []
        for program, (arguments, environment) in commands.items():
            found = next(filter(None, map(shutil.which, program.called)), None)
            if found is None and program is _PROMETHEUS:
                raise DataError(f"Prometheus is not installed. Get it: {program.install}")
            if found is None:
                tell(f"{program.called[0]} is not installed; get it: {program.install}")
                continue
            log = own / f"{program.called[0]}.log"
            started.append((program, log, running.enter_context(_running([found, *arguments], environment, log))))
            _wait(program, ports[program], log, started[-1][2])
            tell(f"{program.called[0]}: http://127.0.0.1:{ports[program]}")
        while True:
            time.sleep(0.5)
            for program, log, process in started:
                if process.poll() is not None:
                    raise DataError(f"{program.called[0]} ended. {_last_words(log)}")


def _free(port: int) -> int:
    """The port, or another one where it is taken."""
    for wanted in (port, 0):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    return port


_Command = tuple[list[str], dict[str, str]]


def _prometheus(folder: Path, own: Path, data: Path | None, ports: dict[_Program, int]) -> _Command:
    text = (folder / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace(stack.ALERTMANAGER, f"127.0.0.1:{ports[_ALERTMANAGER]}")
    text = text.replace(stack.LOCAL_HOST, "127.0.0.1")
    (own / "prometheus.yml").write_text(text, encoding="utf-8")
    for rules in folder.glob("rules.yml"):
        shutil.copy(rules, own / rules.name)
    return [
        f"--config.file={own / 'prometheus.yml'}",
        f"--storage.tsdb.path={(data or own / 'tsdb').absolute()}",
        "--storage.tsdb.retention.time=400d",
        f"--web.listen-address=127.0.0.1:{ports[_PROMETHEUS]}",
    ], {}


def _alertmanager(folder: Path, own: Path, port: int) -> _Command:
    text = (folder / "alertmanager.yml").read_text(encoding="utf-8")
    (own / "alertmanager.yml").write_text(text.replace(stack.LOCAL_HOST, "127.0.0.1"), encoding="utf-8")
    return [
        f"--config.file={own / 'alertmanager.yml'}",
        f"--storage.path={own / 'notified'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ], {}


def _grafana(folder: Path, own: Path, ports: dict[_Program, int]) -> _Command:
    """Provisioned as in the containers, with paths and ports of this machine."""
    provisioning = folder / "grafana" / "provisioning"
    here = {
        stack.PROMETHEUS_URL: f"http://127.0.0.1:{ports[_PROMETHEUS]}",
        stack.MOUNTED: str((folder / stack.DASHBOARDS).absolute()),
    }
    for path in provisioning.rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for there, mine in here.items():
            text = text.replace(there, mine)
        target = own / "provisioning" / path.relative_to(provisioning)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return ["--homepath=/usr/share/grafana"], {
        "GF_PATHS_PROVISIONING": str(own / "provisioning"),
        "GF_PATHS_DATA": str(own / "grafana"),
        "GF_PATHS_LOGS": str(own),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(ports[_GRAFANA]),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
    }


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(program: _Program, port: int, log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until it answers; DataError with what it said last where it does not."""
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{program.ready}", timeout=5):
                return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.1)
    raise DataError(f"{program.called[0]} does not start. {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = [line for line in lines if "level=error" in line.lower()] or lines
    return "It said: " + "\n".join(line[:500] for line in said[-3:]) if said else "It said nothing."
