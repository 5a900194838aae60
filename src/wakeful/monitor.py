"""Monitor, the face of the library: a reference, its checks, and what can be done with both."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wakeful.budget import AlarmBudget, duration
from wakeful.checks import Assertion, Check, CheckFunction, read
from wakeful.counting import Derivation, RowBatch, count
from wakeful.counts import Counts
from wakeful.derived import Derived
from wakeful.errors import CheckError, DataError, SignalError, UnknownName
from wakeful.explain import Cause, explain
from wakeful.expression import Bound, Comparison, pasts_of
from wakeful.live.holdout import Decision, Holdout
from wakeful.question import Live
from wakeful.reference import Reference
from wakeful.release import From, ShareOfScore, released
from wakeful.signals import needs_outcomes
from wakeful.told import Known
from wakeful.verdicts import Verdict, Window

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from wakeful.live.recorder import Recorder, Watched

__all__ = ["Monitor", "Report"]

# Two first observations at once start one recorder. By process: a child forked meanwhile inherits a lock for good.
_STARTING: dict[int, Any] = {}
STRICT_ERROR_RATE = 0.05  # a release gate decides once: 95% confidence, shared out over the values of an assert


def _starting() -> Any:
    """Held while a recorder is started."""
    return _STARTING.setdefault(os.getpid(), threading.RLock())


class Report(NamedTuple):
    """What checks say of some rows.

    Attributes:
        verdicts: one per comparison and element, in the order of the checks.
        explanation: columns and segments that depart from the reference, most telling first.
        rows: number of rows judged.
        confidence: of the most guarded comparison, from the alarm budget.
        strict: an unsure verdict fails too.
        counts: of the rows judged.
    """

    verdicts: list[Verdict]
    explanation: list[Cause]
    rows: int
    confidence: float
    strict: bool
    counts: Counts

    @property
    def failed(self) -> list[Verdict]:
        """Verdicts that count as failures."""
        bad = ("fail", "unsure") if self.strict else ("fail",)
        return [one for one in self.verdicts if one.verdict in bad]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def alarm(self) -> bool:
        """Whether a check that pages or files a ticket failed."""
        return any(one.severity != "explain" for one in self.failed)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON wants it."""
        return {
            "verdicts": [one.as_dict() for one in self.verdicts],
            "explanation": [one.as_dict() for one in self.explanation],
        }


class Monitor:
    """Watches one model: learnt from a reference, told what to fear by checks.

    Args:
        reference: a Reference, or the path of its file; a relative path is looked up beside the file that
            makes the monitor.
        alarm_budget: how many false alarms the team can bear, such as ``1/90d``.
        holdout_share: of flagged cases that ``decide`` lets through at random, so that their outcomes are seen; or
            a function from the score to that share, which is asked for the middle of every bin of the score.
        holdout_from: ``"flagged"``, or ``"all"`` where outcomes of unflagged cases are hidden, too, unless they are
            held out.
        holdout_salt: another salt draws other cases; the model's name without it.

    Raises:
        ReferenceFileError: the file is missing, damaged, or of an unknown version.
        DataError: the alarm budget or the holdout cannot be understood, or a share of some scores is 0.
    """

    def __init__(
        self,
        reference: Reference | str | os.PathLike[str],
        *,
        alarm_budget: str = "1/90d",
        holdout_share: ShareOfScore = 0.0,
        holdout_from: From = "flagged",
        holdout_salt: str | None = None,
    ) -> None:
        self.alarm_budget = alarm_budget
        self.budget = AlarmBudget.parse(alarm_budget)
        self.path: Path | None = None
        if not isinstance(reference, Reference):
            caller = sys._getframe(1).f_globals.get("__file__")
            self.path = Path(reference)
            if caller is not None and not self.path.is_absolute():
                self.path = Path(caller).parent / self.path
            reference = Reference.load(self.path)
        self.reference = reference
        model, layout = reference.model, reference.layout
        salt = model.name if holdout_salt is None else holdout_salt
        release = released(holdout_share, holdout_from, layout)
        self.holdout = Holdout(release, layout.bins[model.score.name], salt)
        if self.holdout.share and model.holdout is None:
            raise DataError(
                f"holdout_share is up to {self.holdout.share:g}, but the reference knows no holdout column, so "
                "nothing would count it. Learn it again: wakeful init … --holdout-share SHARE"
            )
        self._recorder: Recorder | None = None
        self.checks: list[Check] = []
        self._derived: dict[str, Derived] = {}
        self._assertions: dict[str, list[Assertion]] = {}

    def __repr__(self) -> str:
        name, rows = self.reference.model.name, self.reference.rows
        return f"<Monitor {name}: {rows:,} reference rows, {len(self.checks)} checks>"

    def check(
        self,
        *,
        window: str = "24h",
        page: str | None = None,
        ticket: str | None = None,
        fear: str = "",
        action: str = "",
        min_n: int = 0,
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Register a check: a function of ``live`` made of asserts.

        Args:
            window: length of the traffic it is judged on: ``30m``, ``24h``, ``7d``.
            page: whom to wake when it fails.
            ticket: whose ticket a failure becomes. With neither, the check explains other alarms.
            fear: what a failure means, in the words of whom it hurts.
            action: what to do about it.
            min_n: with fewer rows behind an estimate, it does not fail.
        """

        def register(function: CheckFunction) -> CheckFunction:
            check = Check(function, window, page, ticket, fear, action, min_n)
            if any(known.name == check.name for known in self.checks):
                raise CheckError(f"{check.where}: a check named {check.name} exists already. Rename one of them.")
            self.checks.append(check)
            return function

        return register

    def column(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register a derived column, named after its function.

        A function of one argument named ``row`` is called with every row, a mapping from column to value.
        Any other is called once per batch with the columns that its arguments name: numpy arrays where
        they are numbers, else lists. What it raises, or returns of the wrong type, counts as invalid.
        """
        self._derived[function.__name__] = Derived(function)
        return function

    @property
    def derived(self) -> Mapping[str, Derivation]:
        """Functions of the derived columns, by name."""
        return self._derived

    # In a service; see wakeful.live -----------------------------------------------------------------------------

    def start(
        self,
        *,
        counts: str | os.PathLike[str] | None = None,
        log: Any = None,
        version: str | None = None,
        registry: CollectorRegistry | Literal["default"] | None = "default",
        flush: float = 1.0,
        buffer: int = 65_536,
        series: int = 10_000,
    ) -> None:
        """Watch inside this service; the first observation does it by itself with these defaults.

        Call it once, where the service is set up. What is raised here is wrong in every run; later on, nothing
        is raised into the service.

        Args:
            counts: folder where the workers of the service share their counts; ``WAKEFUL_COUNTS`` without it,
                else one in memory that the processes of this process group share.
            log: where rows are written as Parquet: a folder, a bucket URL, or a ``wakeful.Log``; ``WAKEFUL_LOG``
                without it, else nowhere.
            version: label of the model's version; ``WAKEFUL_VERSION`` without it.
            registry: of prometheus_client, on which the counts are exported: its default one, or None for no
                export.
            flush: seconds between two flushes; a process that is killed loses no more than one.
            buffer: observations that may wait to be counted; more are dropped, and counted as such.
            series: that may be exported.

        Raises:
            DataError: an option cannot be understood, or the export would have too many series. What was watched
                before is watched on.
        """
        from wakeful.live.service import Options, start  # what only a service needs

        self.must_derive()
        self.stop()
        options = Options(counts, log, version, registry, flush, buffer, series)
        with _starting():
            before, self._recorder = self._recorder, start(self._watched, self.comparisons(), options)
        if before is not None:
            before.replace()

    def stop(self) -> None:
        """Flush what waits and close the log; done by itself when the process ends."""
        if self._recorder is not None:
            self._recorder.stop()

    @property
    def _begun(self) -> Recorder:
        """The recorder; never raises."""
        if self._recorder is None:
            from wakeful.live.service import start_quietly

            with _starting():
                if self._recorder is None:
                    self._recorder = start_quietly(self._watched, self.comparisons)
        return self._recorder

    def observe(
        self,
        features: Mapping[str, Any],
        *,
        score: object = None,
        id: object = None,
        decision: object = None,
        time: float | datetime | None = None,
        label: object = None,
    ) -> None:
        """Count, and log, one answer of the model; takes about a microsecond, never raises, never waits.

        Args:
            features: a value per column, as the model got them; copied, so that it may be changed afterwards.
            score: the model's answer: a score, a class or a number.
            id: of the case.
            decision: whether the case is flagged, where the threshold does not say it.
            time: when it happened, in seconds since 1970 or as a datetime; now without it.
            label: the true outcome, where it is known already; else say it later, with ``outcome``.
        """
        (self._recorder or self._begun).inbox.observe(features, score, id, decision, time, label)

    def observe_batch(self, data: object, *, score: Sequence[Any] | None = None) -> None:
        """Count, and log, many answers at once; never raises. What may change afterwards is copied: no Arrow or Polars.

        Args:
            data: a data frame (pandas, Polars, PyArrow, DuckDB), an Arrow stream, a dict from column name to
                values, or a numpy array of shape (rows, features) with the reference's input columns in order.
            score: the model's answers, where they are no column of the data, shape (rows,).
        """
        from wakeful.live.tables import snapshot

        recorder = self._recorder or self._begun
        try:
            recorder.inbox.observe_table(snapshot(self.reference.model, data, score))
        except Exception as error:
            recorder.inbox.refuse("invalid")
            recorder.complain("invalid", "a batch cannot be read", error)

    def decide(self, id: object, score: object) -> Decision:
        """What to do with a case: flagged by its score, held out by its id, and so to act on or not; never raises.

        The same id with the same score is always decided alike, in every process and in every replay.
        """
        return self.holdout.decide(id, score, self.reference.model.threshold)

    def outcome(
        self,
        id: object,
        label: object,
        *,
        score: object = None,
        decision: object = None,
        features: Mapping[str, Any] | None = None,
        time: float | datetime | None = None,
    ) -> None:
        """Report the true outcome of a case, whenever it is known, from any process; never raises, never waits.

        It is logged, to be joined by its id. Said again with what ``observe`` was told, it is counted at once, too,
        as if it had been known then: so say it once.

        Args:
            id: of the case, as in ``observe``.
            label: the outcome.
            score: the model's answer.
            decision: whether the case was flagged, where ``observe`` was told.
            features: the model's segments, and what else among decision and holdout stood in the features; all of
                them will do. Without, the outcome counts for all traffic and for no segment.
            time: when it became known; now without it.
        """
        (self._recorder or self._begun).inbox.outcome(id, label, time, score, decision, features)

    def counts(self, folder: str | os.PathLike[str] | None = None, *, version: str | None = None) -> Counts:
        """What all workers of a service have counted so far, the dead included, as of their last flushes.

        Read twice, the difference is a window: ``monitor.test(later - earlier)``.

        Args:
            folder: where the workers share their counts, from any process; without it, where this process would.
            version: of the model, to count it alone; all versions without it.

        Raises:
            OSError: what the workers wrote cannot be read for now.
        """
        from wakeful.live.shared.folder import counts_folder
        from wakeful.live.shared.totals import totals

        if folder is None:
            folder = counts_folder() if self._recorder is None else self._recorder.settings.folder
        return totals(self.reference.layout, Path(folder), version)

    def watch(self, model: Any) -> Any:
        """The same scikit-learn model, whose every answer is observed, with the inputs as features.

        ``predict_proba`` is observed where the monitor's model is binary (the score is the second class's), else
        ``predict``. The answers are the model's own, whatever happens here. Pickles, copies and clones are of the
        model itself, and are not observed.

        Args:
            model: a classifier, regressor or pipeline whose input columns have the reference's names; arrays have
                none, and hold the reference's input columns in order.
        """
        from wakeful.live.watch import WatchedModel

        return WatchedModel(model, "predict_proba" if self.reference.model.task == "binary" else "predict", self)

    @property
    def live(self) -> Live:
        """What checks are called with."""
        layout = self.reference.layout
        parts = {name: tuple(part for part in layout.slices if part.segment == name) for name in layout.model.segments}
        return Live(layout.model, parts)

    def assertions(self, check: Check) -> list[Assertion]:
        """What a check asserts; CheckError with file and line where it cannot be read."""
        if check.name not in self._assertions:
            self._assertions[check.name] = read(check, self.live)
        return self._assertions[check.name]

    def asks_outcomes(self, check: Check, at: int) -> bool:
        """Whether an assertion of a check, by its place, asks of outcomes, or of how they were joined."""
        leaves = self.assertions(check)[at].comparison.leaves
        return any(needs_outcomes(leaf.signal) or leaf.signal.of == "labels" for leaf in leaves)

    @property
    def _watched(self) -> Watched:
        from wakeful.live.recorder import Watched

        return Watched(self.reference, self._derived, self.holdout, self.needed, self._beside_outcomes)

    def comparisons(self) -> list[Comparison]:
        """What the checks compare, all of them."""
        return [one.comparison for check in self.checks for one in self.assertions(check)]

    def alpha(self, check: Check, assertion: Assertion) -> float:
        """Error rate of one comparison of an assertion, from the alarm budget and all that is asserted."""
        asserts = sum(len(self.assertions(one)) for one in self.checks)
        return self.budget.alpha(asserts, _elements(assertion.comparison), duration(check.window))

    @property
    def least_alpha(self) -> float:
        """The smallest error rate of any comparison."""
        rates = [self.alpha(check, one) for check in self.checks for one in self.assertions(check)]
        return min(rates, default=STRICT_ERROR_RATE)

    def count(self, data: object) -> Counts:
        """Count rows.

        Args:
            data: a path to a Parquet or CSV file, a data frame, an Arrow stream, a dict from column name to
                values, or a list of rows (dicts).

        Raises:
            DataError: the data cannot be read, or a derived column is not in the reference.
            UnknownName: the data lack the score.
        """
        layout = self.reference.layout
        self.must_derive()
        if isinstance(data, Counts):
            return Counts.zero(layout) + data  # raises where they were counted with another reference
        if isinstance(data, list) and all(isinstance(row, Mapping) for row in data):
            if data and not any(layout.model.score.source in row for row in data):
                raise UnknownName("score column", layout.model.score.source, data[0])
            return count(layout, RowBatch(data), self._derived)
        from wakeful.tables import Table, in_threads  # needs pyarrow, which a service that only observes rows has not

        table = Table(data)
        names = table.schema.names
        if layout.model.score.source not in names:
            raise UnknownName("score column", layout.model.score.source, names)
        model = layout.model
        table.refuse_text(
            decision=model.decision, holdout=model.holdout, label=model.label if model.task == "binary" else None
        )
        counts = Counts.zero(layout)
        for part in in_threads(lambda batch: count(layout, batch, self._derived), table.batches(self.needed)):
            counts += part
        present = set(names)
        absent = {one.name for one in layout.model.columns if one.source not in present and not one.derived}
        return Counts(layout, counts.vector, frozenset(absent))

    def must_derive(self) -> None:
        """DataError where the derived columns of the reference and of this monitor differ."""
        known = {column.name for column in self.reference.model.features if column.derived}
        if self._derived.keys() - known:
            raise DataError(
                f"derived column {min(self._derived.keys() - known)!r} is not in the reference. "
                "Learn it again: wakeful init DATA --monitor THIS_FILE.py"
            )
        if known - self._derived.keys():
            raise DataError(
                f"the reference has a derived column {min(known - self._derived.keys())!r} that no function of "
                "the monitor computes. Define it with @monitor.column, or learn the reference again."
            )

    @property
    def needed(self) -> list[str] | None:
        """Input columns to read; all of them where a function of whole rows may use any."""
        model = self.reference.model
        if any(derived.arguments is None for derived in self._derived.values()):
            return None
        roles = [model.decision, model.label, model.holdout, *model.segments]
        sources = [column.source for column in self.reference.layout.counted if not column.derived]
        arguments = [name for derived in self._derived.values() for name in derived.arguments or ()]
        return [name for name in (*sources, *roles, *arguments) if name]

    @property
    def _beside_outcomes(self) -> list[str]:
        """Input columns that tell where an outcome counts."""
        model = self.reference.model
        return [name for name in (model.score.source, model.decision, model.holdout, *model.segments) if name]

    def on(self, data: object, *, strict: bool = False) -> Live:
        """Live traffic that is judged at once: ``assert monitor.on(rows).score.d1() <= 0.2`` in any test.

        A comparison is false when the rows refute it; with ``strict``, when they do not support it.
        """
        counts = self.count(data)
        rate = STRICT_ERROR_RATE if strict else self.least_alpha
        window = Window(self.reference, counts, rate, strict, release=self.holdout.release)

        def judge(comparison: Comparison) -> bool:
            bad = ("fail", "unsure") if strict else ("fail",)
            return not any(one.verdict in bad for one in window.judge(comparison))

        return replace(self.live, bound=Bound(judge, window.tell))

    def test(self, data: object, *, strict: bool = False) -> Report:
        """Judge rows by every check.

        Args:
            data: whatever ``count`` takes, or Counts.
            strict: for a release gate: the data must support every assertion; ``unsure`` fails.

        Raises:
            DataError: the data cannot be read, or there are no checks or rows.
            CheckError: a check cannot be understood; with file and line.
        """
        if not self.checks:
            raise DataError("the monitor has no checks. Register one with @monitor.check().")
        counts = self.count_some(data)
        verdicts = [one for check in self.checks for one in self.judge(check, counts, strict=strict)]
        return Report(verdicts, self.explain(counts), counts.rows, 1 - self.least_alpha, strict, counts)

    def count_some(self, data: object) -> Counts:
        """Count rows that are to be judged; DataError where there is none."""
        counts = self.count(data)
        if not counts.rows:
            raise DataError("the data have no rows, so there is nothing to judge. Give at least one.")
        return counts

    def explain(self, counts: Counts, window: str | None = None) -> list[Cause]:
        """Columns and segments that depart from the reference, most telling first; ``window`` is their length."""
        return explain(self.reference, counts, None if window is None else duration(window))

    def judge(
        self, check: Check, counts: Counts, *, strict: bool = False, past: Mapping[str, Counts] | None = None,
        known: Mapping[str, Known] | None = None, only: Container[int] | None = None,
    ) -> list[Verdict]:  # fmt: skip
        """The verdicts of one check on counts; CheckError where the reference cannot answer it.

        Args:
            check: one of ``checks``.
            counts: of the window.
            strict: the data must support every assertion.
            past: counts of earlier windows for ``live.ago``, by how long ago each ended.
            known: what is known of outcomes that were joined, of the window (the empty text) and of earlier ones.
            only: places of the assertions to judge; all of the check without it.
        """
        verdicts = []
        length = duration(check.window)
        window = Window(self.reference, counts, 1.0, strict, past or {}, length, self.holdout.release, known or {})
        for at, one in enumerate(self.assertions(check)):
            if only is not None and at not in only:
                continue
            rate = STRICT_ERROR_RATE / _elements(one.comparison) if strict else self.alpha(check, one)
            try:
                judged = list(replace(window, alpha=rate).judge(one.comparison, check.min_n))
            except (SignalError, UnknownName) as error:  # what only the reference can tell, such as a missing label
                raise CheckError(f"{check.file}:{one.line}: in {check.name}: {error}") from error
            verdicts += [
                Verdict(check.name, one.source, check.severity, each, one.line, one.note, at) for each in judged
            ]
        return verdicts


def agos(assertions: Iterable[Assertion]) -> set[str]:
    """How long ago the windows ended that assertions compare with."""
    return {past for one in assertions for past in pasts_of(one.comparison.left, one.comparison.right)}


def _elements(comparison: Comparison) -> int:
    """How many values a comparison compares."""
    return len(comparison.elements)
