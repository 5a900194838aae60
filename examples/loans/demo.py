"""From real mortgage applications to a check that fails in a running service, in about a minute.

A model predicts which applications the lender will reject. wakeful learns what its traffic looks like,
writes a monitor file and validates the model. Then incomes arrive in cents, and a replay of ten weeks shows when
an alarm would have come. At last the model goes into a service, and breaks there. README.md describes the data.

Run it with ``make demo``, or with ``python examples/loans/demo.py FOLDER``.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import joblib
import numpy as np
import pandas as pd
from rich.console import Console
from server import Server
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from traffic import Traffic
from train import INIT, THRESHOLD, WAKEFUL, applications, scored, split, train
from watch import Watch, line, what_fails

from wakeful import Monitor
from wakeful.loading import load_monitor

SERVICE = "gunicorn breakable:app --workers 2 --worker-class uvicorn_worker.UvicornWorker"
RATE = 60  # applications a second
CONSOLE = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Tell the story; leave with an error if a step does not behave as told."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "monitor_loans.py").unlink(missing_ok=True)  # of an earlier run: init would keep it

    title("1. Train a model")
    training, reference, validation = split(applications(), parts=3)
    model = train(training)
    reference, validation = scored(reference, model), scored(validation, model)
    reference.to_parquet(folder / "reference.parquet", index=False)
    validation.to_parquet(folder / "validation.parquet", index=False)
    say(
        f"A gradient-boosted model learnt from {len(training)} real mortgage applications which ones the "
        f"lender rejects. On {len(validation)} others: {quality(validation)}."
    )

    title("2. Learn a reference, write a monitor")
    wakeful(
        folder,
        "init reference.parquet --score score --label rejected --segment property "
        f"--threshold {THRESHOLD} --name loans --out .",
        expect=0,
    )

    title("3. Validate the model before its release")
    wakeful(folder, "test monitor_loans.py validation.parquet", expect=0)

    title("4. A new version of the website sends incomes in cents")
    cents = scored(validation.assign(income=100 * validation["income"]), model)
    cents.to_parquet(folder / "cents.parquet", index=False)
    say(f"Same applicants, same model, no error anywhere: {quality(cents)}.")
    wakeful(folder, "test monitor_loans.py cents.parquet --json cents.json", expect=1)
    culprit = json.loads((folder / "cents.json").read_text())["explanation"][0]["column"]
    if culprit != "income":
        sys.exit(f"The demo failed: the first explanation should name income, and names {culprit}.")

    title("5. Would it have told us, and would it have woken us for nothing?")
    broken_days(validation, cents).to_parquet(folder / "history.parquet", index=False)
    say("Ten weeks of applications, drawn from the validated ones. In three of the days incomes came in cents.")
    wakeful(folder, "replay monitor_loans.py history.parquet --every 1d --time applied_at", expect=1)

    live(folder, model)

    title("Now read, and change, the asserts")
    say(f"They are in {folder / 'monitor_loans.py'}. The data beside it can be tested again at any time.")


def live(folder: Path, model: Any) -> None:
    """Put the model into a service of two workers, break it twice, and see the checks fail."""
    title("6. Put it into a service")
    place = folder / "service"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    joblib.dump(model, place / "model.joblib")
    for name in "reference", "validation":
        shutil.copy(folder / f"{name}.parquet", place)
    wakeful(place, INIT, expect=0)
    say(f"\n$ {SERVICE}\n")
    with Server(f"{SERVICE} --bind 127.0.0.1:{{port}} --no-control-socket", place) as server:
        traffic = Traffic(server.url, place, RATE)
        monitor = load_monitor(place / "monitor_loans.py")
        say(
            f"Two workers answer on {server.url}, and count what they see. Of the applications that the model flags, "
            "one in ten is let through at random, so that its outcome is seen.\n"
            "Each line below is the last ten seconds of both workers. Each mark is a check, in the order of the "
            "monitor file: · passes, ✗ fails, ? is unsure, … asks of outcomes that are joined elsewhere. The first "
            "four wait for outcomes, the next for more rows."
        )

        title("7. Healthy traffic")
        phase(monitor, server, traffic, seconds=10, culprit=None)

        title("8. The website sends incomes in cents, and this time it is live")
        phase(monitor, server, traffic, seconds=6, culprit="income", client="cents")

        title("9. That is mended. Now the model cannot be reached, and a fallback answers for it")
        httpx2.post(f"{server.url}/incidents/constant-score").raise_for_status()
        phase(monitor, server, traffic, seconds=6, culprit="score")

        title("10. Stop the service")
        traffic.close()
    answered, counted = len(traffic.answers), monitor.counts(server.counts).rows
    say(f"Both workers have left: {answered:,} applications answered, {counted:,} counted.")
    if answered != counted or traffic.failed:
        sys.exit(
            f"The demo failed: {traffic.failed} requests failed, and {answered - counted} answers are not counted."
        )


def phase(
    monitor: Monitor, server: Server, traffic: Traffic, seconds: int, culprit: str | None, client: str | None = None
) -> None:
    """Send traffic, and show what the checks say of it; leave with an error if they do not name the culprit.

    Args:
        monitor: with the checks.
        server: that is watched.
        traffic: its client.
        seconds: how long.
        culprit: column that has to be named first; None where nothing may fail.
        client: what the client does wrong.
    """
    watch = Watch(monitor, server.counts)
    report = None
    for _ in range(seconds // 2):
        traffic.send(2 * RATE, client)
        settle(monitor, server, len(traffic.answers))
        report = watch.look()
        if report is not None:
            CONSOLE.print(line(monitor, report))
            if culprit is None and report.alarm:
                sys.exit(f"The demo failed: healthy traffic raises an alarm: {report.failed[0].judgement.message}")
    if report is None or (culprit and not report.alarm):
        sys.exit("The demo failed: no check fails.")
    if culprit:
        CONSOLE.print(what_fails(monitor, report))
        named = report.explanation[0].column
        if named != culprit:
            sys.exit(f"The demo failed: the first explanation should name {culprit}, and names {named}.")


def settle(monitor: Monitor, server: Server, answered: int) -> None:
    """Wait for the flush of both workers, at most a second away."""
    until = time.monotonic() + 10
    while monitor.counts(server.counts).rows < answered and time.monotonic() < until:
        time.sleep(0.05)


def broken_days(good: pd.DataFrame, bad: pd.DataFrame) -> pd.DataFrame:
    """Ten weeks of a hundred applications a day, drawn with replacement; three days are of the bad ones."""
    rng = np.random.default_rng(0)
    hours = np.sort(rng.integers(0, 24 * 70, 7_000))
    rows = rng.integers(0, len(good), len(hours))
    days = pd.Timestamp("2026-03-02") + pd.to_timedelta(hours, unit="h")
    is_bad = (days >= "2026-04-08") & (days < "2026-04-11")
    drawn = pd.concat([good.iloc[rows[~is_bad]], bad.iloc[rows[is_bad]]])
    return drawn.assign(applied_at=[*days[~is_bad], *days[is_bad]]).sort_values("applied_at", kind="stable")


def quality(table: pd.DataFrame) -> str:
    rejected, flagged = table["rejected"], table["score"] >= THRESHOLD
    return (
        f"ROC AUC {roc_auc_score(rejected, table['score']):.2f}, {flagged.mean():.0%} flagged, "
        f"precision {precision_score(rejected, flagged):.2f}, recall {recall_score(rejected, flagged):.2f}"
    )


def wakeful(folder: Path, arguments: str, expect: int) -> None:
    """Run a command in ``folder`` as a reader would, and hold it to its exit code."""
    say(f"$ wakeful {arguments}\n")
    code = subprocess.run([WAKEFUL, *shlex.split(arguments)], cwd=folder, check=False).returncode
    if code != expect:
        sys.exit(f"The demo failed: the command ended with exit code {code} instead of {expect}.")
    say(f"(exit code {code})")


def title(text: str) -> None:
    say(f"\n{text}\n{'─' * len(text)}")


def say(text: str) -> None:
    print(text, flush=True)  # before the output of the next command


if __name__ == "__main__":
    main()
