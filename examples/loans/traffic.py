"""Replays applications over HTTP, and later tells their outcomes.

    python examples/loans/traffic.py FOLDER http://127.0.0.1:8000 --rate 20 --incident cents

The applications are those of FOLDER/validation.parquet, in random order, each with a number of its own. A hundred
of them are a day. What became of one is told two days later, and only where the bank did not take a second look:
otherwise it is the look's outcome, and not known what would have been without it.

With --campaign the bank advertises, and others apply than before. Nothing is wrong then, and nobody should be woken.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd

Application = dict[str, Any]

A_DAY = 100  # applications
CONNECTIONS = 4  # that are kept alive

# What a client may do wrong, by what it makes of an application; breakable.py has what the service may do wrong.
INCIDENTS: dict[str, Callable[[Application], Application]] = {
    "cents": lambda one: one | {"income": 100 * one["income"]},
    "cents-for-condominiums": lambda one: INCIDENTS["cents"](one) if one["property"] == "condominium" else one,
    "default": lambda one: one | {"income": 60_000.0},
    "error-code": lambda one: one | {"credit_lines": -1},
    "lost-field": lambda one: {name: value for name, value in one.items() if name != "liquid_assets"},
    "renamed-category": lambda one: one | {"property": one["property"].replace("condominium", "condo")},
    "rounded": lambda one: one | {"price": round(one["price"], -5)},
    "swapped": lambda one: one | {"price": one["monthly_debt"], "monthly_debt": one["price"]},
    "text": lambda one: one | {"monthly_debt": f"{one['monthly_debt']:,.0f} $"},
    "retries": lambda one: one,  # sent twice
}


def eagerness(one: Application) -> float:
    """How many times as often such an application comes during a campaign for condominiums."""
    return 3.0 if one["property"] == "condominium" else 1.0


class Traffic:
    """A client of the service.

    Args:
        url: of the service.
        folder: with the validation rows.
        rate: applications a second.

    Attributes:
        rows: that are replayed.
        answers: of the service, to applications.
        outcomes: number of outcomes told.
        failed: number of requests that were not answered.
    """

    def __init__(self, url: str, folder: Path, rate: float = 50.0) -> None:
        table = pd.read_parquet(folder / "validation.parquet").drop(columns="score")
        self.rows = table.astype(object).where(table.notna(), None).to_dict("records")
        self._rng = np.random.default_rng(0)
        self._client = httpx2.Client(base_url=url, timeout=30)
        self._waiting: deque[tuple[Future[Application | None], bool]] = deque()
        self._sent = 0
        self.rate = rate
        self.answers: list[Application] = []
        self.outcomes = 0
        self.failed = 0

    def send(self, number: int, incident: str | None = None, *, campaign: bool = False) -> None:
        """Send some applications at the rate, and the outcomes that are due; wait for the answers."""
        eager = np.array([eagerness(row) if campaign else 1.0 for row in self.rows])
        drawn = self._rng.choice(len(self.rows), number, p=eager / eager.sum())
        change = INCIDENTS[incident] if incident else dict
        began = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for place in range(number):
                time.sleep(max(0.0, began + place / self.rate - time.monotonic()))
                row = self.rows[drawn[place]]
                features = {name: value for name, value in row.items() if name != "rejected"}
                application = change(features) | {"application_id": f"A{self._sent}"}
                for _ in range(2 if incident == "retries" else 1):
                    answer = pool.submit(self._post, "/applications", application)
                self._waiting.append((answer, row["rejected"]))
                self._sent += 1
                if len(self._waiting) > 2 * A_DAY:
                    pool.submit(self._tell, *self._waiting.popleft())

    def _post(self, path: str, body: Application) -> Application | None:
        try:
            answer = self._client.post(path, json=body).raise_for_status().json()
        except httpx2.HTTPError:
            self.failed += 1
            return None
        if path == "/applications":
            self.answers.append(answer)
        return answer  # type: ignore[no-any-return]

    def _tell(self, waiting: Future[Application | None], rejected: bool) -> None:
        answer = waiting.result()
        if answer and answer["next"] == "credit bureau":
            self._post("/outcomes", {"application_id": answer["application_id"], "rejected": rejected})
            self.outcomes += 1

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Replay applications over HTTP until you stop it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=20.0, help="applications a second")
    parser.add_argument("--incident", choices=INCIDENTS)
    parser.add_argument("--campaign", action="store_true", help="more condominiums; nothing is wrong")
    told = parser.parse_args()
    traffic = Traffic(told.url, told.folder, told.rate)
    try:
        while True:
            traffic.send(A_DAY, told.incident, campaign=told.campaign)
            print(f"{len(traffic.answers):,} answers, {traffic.outcomes:,} outcomes, {traffic.failed:,} failed")
    except KeyboardInterrupt:
        traffic.close()


if __name__ == "__main__":
    main()
