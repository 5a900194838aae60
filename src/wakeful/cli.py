"""The command line: each command is one call into the library."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from wakeful.errors import DataError, MissingExtra, WakefulError

try:
    import typer
    import typer.core
    from rich.console import Console
    from rich.markup import escape
except ImportError as error:
    print(MissingExtra("typer", "cli", "the command line"), file=sys.stderr)
    raise SystemExit(2) from error

if TYPE_CHECKING:
    from wakeful.engines.history import Span

__all__ = ["app", "main"]

PASSED, FAILED, BAD_INPUT = 0, 1, 2


class _Guarded(typer.core.TyperGroup):
    """Commands whose errors on purpose become one clear message and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (WakefulError, OSError) as error:
            Console(stderr=True, soft_wrap=True).print(f"[bold red]error[/bold red] {escape(str(error))}")
            raise typer.Exit(BAD_INPUT) from error


app = typer.Typer(
    cls=_Guarded,
    help="Write an assert. Get a test, an alert and a dashboard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no ✓ shows another sign
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()


@app.callback()
def _root() -> None:
    """Write an assert. Get a test, an alert and a dashboard."""


class _Windowed(Protocol):
    """One step of a history: what it is called, and how many rows it has."""

    @property
    def window(self) -> str: ...
    @property
    def n(self) -> int: ...


_Part = TypeVar("_Part", bound=_Windowed, covariant=True)


class _History(Protocol[_Part]):
    """A replay, or another history that is read step by step."""

    @property
    def notes(self) -> list[str]: ...
    @property
    def span(self) -> Span: ...
    def __iter__(self) -> Iterator[_Part]: ...


# What the commands on histories share.
Time = Annotated[
    str | None, typer.Option(metavar="COL", help="When a row happened; the reference's time column without it.")
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="First window to judge, such as 2024-03-01.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Judge windows before it.")]
Timezone = Annotated[str, typer.Option(metavar="ZONE", help="Whose days and hours, such as Europe/Berlin.")]

# And those that tell Prometheus.
Textfile = Annotated[
    Path | None, typer.Option(metavar="FILE.prom", help="Write a file for node-exporter's textfile collector.")
]
Pushgateway = Annotated[str | None, typer.Option(metavar="URL", help="Push to a Pushgateway.")]


@app.command()
def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Parquet or CSV file with training or validation rows.")],
    score: Annotated[
        str | None, typer.Option(metavar="COL", help="The model's answer: a score, a class or a number.")
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COL", help="The outcome, where it is known.")] = None,
    decision: Annotated[str | None, typer.Option(metavar="COL", help="1 where the row was flagged.")] = None,
    threshold: Annotated[float | None, typer.Option(metavar="X", help="A score at or above it is flagged.")] = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="1 where a flagged row was let through at random; may exist in live data only.",
        ),
    ] = None,
    holdout_share: Annotated[
        float | None, typer.Option(metavar="X", help="Share of flagged rows that the service holds out, such as 0.05.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COL", help="When it happened: limits then allow for how windows vary."),
    ] = None,
    id: Annotated[str | None, typer.Option(metavar="COL", help="Identifier; may exist in live data only.")] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Count everything apart for each of its values; repeatable."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="binary, multiclass or regression, if it is taken for another."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL=KIND",
            help="Overrule a column: numeric, categorical, boolean, datetime, ignore; repeatable.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the model; «model» without it.")] = None,
    monitor: Annotated[
        Path | None,
        typer.Option(
            metavar="MONITOR.py",
            help="Learn the reference of this monitor file again, its derived columns included.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; here without it.")] = None,
) -> None:
    """Learn a reference from DATA and write reference.json and monitor_NAME.py."""
    from wakeful import initialise

    if monitor is not None:
        if any(
            (
                score,
                label,
                decision,
                threshold is not None,
                holdout,
                holdout_share is not None,
                time,
                id,
                segment,
                task,
                kind,
                name,
                out,
            )
        ):
            raise typer.BadParameter("--monitor learns its own reference again, in its place: give no other option")
        written = initialise.learn_again(monitor, data)
    else:
        if score is None:
            raise typer.BadParameter("name the column with the model's answer: --score COL")
        roles = initialise.roles_of(
            score=score, label=label, decision=decision, threshold=threshold, holdout=holdout, time=time, id=id,
            segments=tuple(segment or ()), task=task, kinds=kind or [], name="model" if name is None else name,
        )  # fmt: skip
        written = initialise.start(data, roles, out or Path(), holdout_share)
    console = Console(soft_wrap=True, highlight=False)
    for line in written.lines():
        console.print(line, markup=False)


@app.command()
def test(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Parquet or CSV file with the rows to judge.")],
    strict: Annotated[bool, typer.Option("--strict", help="The data must support every assert; unsure fails.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write verdicts and explanation as JSON.")
    ] = None,
) -> None:
    """Judge DATA by the checks of MONITOR.py. Exit code 0: all pass, 1: a check fails, 2: bad input."""
    from wakeful.loading import load_monitor
    from wakeful.terminal import render

    loaded = load_monitor(monitor)
    report = loaded.test(data, strict=strict)
    render(loaded, report, _console())
    if json_file is not None:
        text = json.dumps(report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    raise typer.Exit(PASSED if report.ok else FAILED)


@app.command()
def replay(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Parquet or CSV file, folder, glob or bucket URL; an SQL query; postgresql://…#TABLE.",
        ),
    ],
    every: Annotated[
        str | None, typer.Option(metavar="1h", help="Length of a window's steps: 15m, 1h, 1d, 1w, 1mo.")
    ] = None,
    time: Time = None,
    window_column: Annotated[
        str | None, typer.Option(metavar="COL", help="In place of times: a column whose every value is a window.")
    ] = None,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = "UTC",
    outcomes: Annotated[
        str | None,
        typer.Option(
            metavar="OUTCOMES",
            help="Outcomes to join by id, as DATA: id, label, and at, when each was told; a log brings its own.",
        ),
    ] = None,
    horizon: Annotated[
        str | None,
        typer.Option(metavar="90d", help="How long after its prediction an outcome counts; as the longest without it."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was known then; without it, at the newest row.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write one line of JSON per window.")
    ] = None,
) -> None:
    """Run the checks of MONITOR.py over a history: what would they have told you, and when? Exit codes as test."""
    from contextlib import ExitStack

    from wakeful import timeline
    from wakeful.alarms import Tally
    from wakeful.loading import load_monitor
    from wakeful.replay import replay as replayed

    history = replayed(
        load_monitor(monitor), data, every=every, time=time, window_column=window_column,
        since=since, until=until, timezone=timezone, outcomes=outcomes, horizon=horizon, as_of=as_of,
    )  # fmt: skip
    tally = Tally(history)
    with ExitStack() as stack:
        file = stack.enter_context(json_file.open("w", encoding="utf-8")) if json_file else None
        try:
            for step in _watched(history):
                tally.add(step)
                if file is not None:
                    file.write(json.dumps(step.as_dict(), ensure_ascii=False, allow_nan=False) + "\n")
        finally:
            if tally.windows:  # what was computed before an error is shown, and written
                timeline.render(tally, _console())
    if not tally.windows:
        raise DataError("no window lies between --since and --until, so nothing was judged.")
    failed = any("fail" in marks for marks in tally.marks.values())
    raise typer.Exit(FAILED if failed else PASSED)


def _watched(history: _History[_Part]) -> Iterator[_Part]:
    """The steps of a history, with a progress bar where somebody watches; what is odd about the data is said first."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    notices = Console(stderr=True, soft_wrap=True, highlight=False)
    for note in history.notes:
        notices.print(f"note: {note}", markup=False)
    columns = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[window]}"),
    )
    with Progress(*columns, console=notices, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=history.span.rows, window="")
        for step in history:
            progress.update(task, advance=step.n, window=step.window)
            yield step


def _console() -> Console:
    """Where results go: as wide as the terminal, or 120 columns in a file."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@app.command()
def join(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    predictions: Annotated[
        str, typer.Argument(metavar="PREDICTIONS", help="The log, or your own table: DATA as for replay.")
    ],
    outcomes: Annotated[
        str, typer.Argument(metavar="OUTCOMES", help="The log's folder _outcomes, or your own table: id, label, time.")
    ],
    state: Annotated[Path, typer.Option(metavar="DIR", help="Folder that remembers what has been read.")],
    horizon: Annotated[
        str, typer.Option(metavar="90d", help="How long after its prediction an outcome counts: 1h, 90d, 52w.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the joined rows, a Parquet file per day.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="30d", help="Forget days so long after their horizon; without it, none."),
    ] = None,
    id: Annotated[str | None, typer.Option(metavar="COL", help="The id in both tables.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="When a prediction was made.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COL", help="The label in OUTCOMES.")] = None,
    at: Annotated[str, typer.Option(metavar="COL", help="When an outcome was told, in OUTCOMES.")] = "at",
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was known then, such as 2024-03-01; now without it.")
    ] = None,
    textfile: Textfile = None,
    pushgateway: Pushgateway = None,
) -> None:
    """Join predictions with late outcomes by id. Running it again reads what is new. Exit code 2: bad input."""
    import datetime as dt

    from wakeful import join_table
    from wakeful.budget import duration
    from wakeful.every import Every
    from wakeful.live.export import batch
    from wakeful.loading import load_monitor
    from wakeful.outcomes import Join
    from wakeful.outcomes import export as exports
    from wakeful.terminal import several

    if textfile is not None and pushgateway is not None:
        raise typer.BadParameter("give either --textfile FILE.prom or --pushgateway URL, not both")
    moment = dt.datetime.now(dt.UTC) if as_of is None else Every.parse("1d").moment(as_of)
    kept = None if keep is None else duration(keep)
    model = load_monitor(monitor).reference.model
    with Join(state, model, horizon=horizon, id=id, time=time, label=label, at=at) as join:
        read = (join.add_predictions(predictions), join.add_outcomes(outcomes))
        joined = join.as_of(moment)
        written = [] if out is None else joined.write(out)
        join_table.render(joined, *read, written, _console())
        metrics = exports.metrics(joined, model.name) if textfile or pushgateway else []
        if kept is not None:
            join.forget(moment - dt.timedelta(seconds=duration(horizon) + kept))
    if metrics:
        print(f"\n{batch.tell(metrics, model.name, textfile, pushgateway, exports.JOB)}")
    broken = [why for one in read for why in one.broken]
    if broken:
        files = several(len(broken), "file")
        raise DataError(f"{files} could not be read, and will be tried again next time. {' '.join(broken)}")


@app.command()
def tune(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A history, as for replay.")],
    every: Annotated[str, typer.Option(metavar="1h", help="Length of a window's steps: 15m, 1h, 1d, 1w, 1mo.")],
    budget: Annotated[
        str | None, typer.Option(metavar="1/90d", help="Alarms to bear; the monitor's own budget without it.")
    ] = None,
    time: Time = None,
    incident: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIRST..LAST", help="Days known to have been broken: alarms are wanted there; repeatable."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = "UTC",
    write: Annotated[bool, typer.Option("--write", help="Change the monitor file; without it, only show how.")] = False,
) -> None:
    """Propose limits under which a history keeps the alarm budget, and show what each would have caught and cost."""
    from wakeful import source, tuning_table
    from wakeful import tuning as tunings
    from wakeful.budget import AlarmBudget
    from wakeful.loading import load_monitor
    from wakeful.replay import replay as replayed

    loaded = load_monitor(monitor)
    history = replayed(loaded, data, every=every, time=time, since=since, until=until, timezone=timezone)
    assert history.every is not None
    known = [tunings.incident(one, history.every) for one in incident or ()]
    text = source.read(monitor)
    bears = loaded.budget if budget is None else AlarmBudget.parse(budget)
    tuning = tunings.Tuning(history, bears, known, source.literals(text))
    for step in _watched(history):
        tuning.add(step)
    proposals = tuning.proposals()
    tuning_table.render(tuning, proposals, budget or loaded.alarm_budget, _console())
    changes = {one.dial.literal: one.value for one in proposals if one.proposed.limit != one.dial.limit}
    after = source.patched(text, changes)
    if not changes:
        print("\nno limit needs to change")
    elif write:
        source.write(monitor, after)
        print(f"\nwrote {monitor}: {len(changes)} {'limit' if len(changes) == 1 else 'limits'} changed")
    else:
        print(f"\n{source.unified(monitor, text, after)}\nwith --write, {monitor.name} is changed so")


@app.command()
def export(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Parquet or CSV file with the rows of a batch job.")],
    textfile: Textfile = None,
    pushgateway: Pushgateway = None,
    counts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Add to the counts of earlier runs, which are kept there.")
    ] = None,
    version: Annotated[str, typer.Option(metavar="NAME", help="Of the model that scored the rows.")] = "",
    series: Annotated[int, typer.Option(metavar="N", help="How many series there may be.")] = 10_000,
) -> None:
    """Count DATA, the rows of a batch job, and tell Prometheus."""
    from wakeful.live.export import batch
    from wakeful.loading import load_monitor

    if (textfile is None) == (pushgateway is None):
        raise typer.BadParameter("give either --textfile FILE.prom or --pushgateway URL")
    loaded = load_monitor(monitor)
    counted, asked = loaded.count(data), loaded.comparisons()
    metrics = batch.count(loaded.reference, counted, asked, counts, version=version, series=series)
    print(batch.tell(metrics, loaded.reference.model.name, textfile, pushgateway))


@app.command()
def backfill(
    monitor: Annotated[Path, typer.Argument(metavar="MONITOR.py", help="The monitor file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A history, as for replay.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="OpenMetrics file to write.")],
    every: Annotated[
        str, typer.Option(metavar="1h", help="How often Prometheus is to know the counters: 3m, 15m, 1h, 1d.")
    ] = "1h",
    time: Time = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Count from then on, such as 2024-03-01.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Count whole steps up to then: when Prometheus began to scrape.")
    ] = None,
    timezone: Timezone = "UTC",
    version: Annotated[str, typer.Option(metavar="NAME", help="Of the model that scored the rows.")] = "",
    series: Annotated[int, typer.Option(metavar="N", help="How many series there may be.")] = 10_000,
) -> None:
    """Write a history as Prometheus would have scraped and recorded it, for promtool to bring it there."""
    from wakeful import backfill as backfills
    from wakeful.loading import load_monitor

    history = backfills.backfill(
        load_monitor(monitor), data, every=every, time=time, since=since, until=until, timezone=timezone,
        version=version, series=series,
    )  # fmt: skip
    for line in backfills.write(history, out, _watched).lines():
        print(line)


@app.command("compile")
def compile_(
    monitors: Annotated[list[Path], typer.Argument(metavar="MONITOR.py...", help="Monitor files, one per model.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")],
    runbook_url: Annotated[
        str,
        typer.Option(metavar="URL", help="What to do; {model}, {check}, {owner}, {board} are filled in."),
    ] = "",
    dashboard_url: Annotated[str, typer.Option(metavar="URL", help="What it looks like; filled in likewise.")] = "",
    webhook: Annotated[
        str, typer.Option(metavar="URL", help="Where Alertmanager sends notifications; {owner} is filled in.")
    ] = "",
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A service that Prometheus is to scrape; repeatable."),
    ] = None,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Write objects of the Prometheus operator, too.")
    ] = False,
) -> None:
    """Write what Prometheus, Alertmanager and Grafana read. Exit code 1: a part of what alarms cannot be written."""
    from wakeful.compile.files import Links, Options, compile_monitors
    from wakeful.loading import load_monitor

    links = Links(runbook_url, dashboard_url)
    options = Options(links, webhook, tuple(target or ()), kubernetes)
    output = compile_monitors([load_monitor(one) for one in monitors], options)
    for path in output.write(out):
        print(f"wrote {path}")
    for line in output.lines():
        print(line)  # rich would take the line number in ``file.py:100:`` for an emoji
    raise typer.Exit(FAILED if output.lacks else PASSED)


@app.command()
def up(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that wakeful compile wrote.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Prometheus' folder, such as one with back-filled blocks; none is kept without."
        ),
    ] = None,
) -> None:
    """Run what a folder was compiled for: Prometheus, and Alertmanager and Grafana where installed; Ctrl-C ends it."""
    from wakeful.compile.up import up as run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    with contextlib.suppress(KeyboardInterrupt):
        run(folder, data, lambda line: print(line, flush=True))


log_app = typer.Typer(help="The log that a service writes.", no_args_is_help=True)
app.add_typer(log_app, name="log")


@log_app.command("compact")
def log_compact(
    url: Annotated[str, typer.Argument(metavar="URL", help="Directory or bucket URL of the log.")],
    older_than: Annotated[
        str, typer.Option(metavar="1d", help="Leave days alone that ended less than this ago: rows may still come.")
    ] = "1d",
    keep: Annotated[str | None, typer.Option(metavar="400d", help="Delete days that ended longer ago.")] = None,
    spool: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of unpublished rows, where a bucket's log was given one.")
    ] = None,
) -> None:
    """Merge the files of each past day into one, recover what dead writers left, delete what is too old."""
    from wakeful.live.log.compact import compact

    console = Console(soft_wrap=True, highlight=False)
    for line in compact(url, older_than=older_than, keep=keep, spool=spool).lines():
        console.print(line, markup=False)


@app.command()
def holdout(
    precision: Annotated[
        float, typer.Option(metavar="X", help="Expected; with --detect, the limit of the check, such as 0.95.")
    ],
    margin: Annotated[
        float | None, typer.Option(metavar="X", help="Half the width that its interval may have, such as 0.02.")
    ] = None,
    detect: Annotated[
        float | None, typer.Option(metavar="X", help="In place of a margin: a lower precision that has to be noticed.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(metavar="X", help="Error rate on each side: 0.025, and 0.01 with --detect.")
    ] = None,
    power: Annotated[float, typer.Option(metavar="X", help="Probability of noticing --detect.")] = 0.9,
    traffic: Annotated[str | None, typer.Option(metavar="20000/d", help="Cases per time.")] = None,
    flagged: Annotated[float | None, typer.Option(metavar="X", help="Share of them that is flagged.")] = None,
    share: Annotated[
        float | None, typer.Option(metavar="X", help="Share of flagged cases to hold out: tells how long it takes.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(metavar="30d", help="In place of a share: tells which share it takes.")
    ] = None,
    cost: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY",
            help="Of a held-out case that was flagged rightly: what acting on it would have saved, such as the price "
            "of the credit report that is now bought for an applicant whom it rejects.",
        ),
    ] = None,
    saved: Annotated[
        float,
        typer.Option(
            metavar="MONEY",
            help="By a held-out case that was flagged wrongly: what acting on it would have lost, such as the margin "
            "of a customer who would have been turned away.",
        ),
    ] = 0.0,
) -> None:
    """How many flagged cases to hold out, how long that takes, and what it costs."""
    from wakeful.sizing import holdout_size

    size = holdout_size(
        precision, margin=margin, detect=detect, alpha=alpha, power=power, traffic=traffic, flagged=flagged,
        share=share, within=within, cost=cost, saved=saved,
    )  # fmt: skip
    console = Console(soft_wrap=True, highlight=False)
    for line in size.lines():
        console.print(line, markup=False)
