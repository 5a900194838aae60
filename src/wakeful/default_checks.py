"""The monitor file that `wakeful init` writes: default checks, with limits learnt from the data."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterator
from typing import NamedTuple

from wakeful import signals
from wakeful.counts import IDS, Counts
from wakeful.reference import Dispersion, Reference
from wakeful.views import column_counts, outcomes

__all__ = ["identifier", "monitor_file"]

_MOST_ODDS = 1.75  # the flagged share may change its odds by this factor
_MOST_RATIO = 1.3  # outcomes may differ from what scores promise by this factor
_LEAST_SLOPE = 0.8  # a fifth of what the score tells of outcomes may go
_MOST_TURNED = 0.05  # one outcome in twenty may look turned round
_SHIFT = 0.15  # d1 of the answers beyond noise: 7.5% of the traffic got another answer
_MOST_SHIFT = 0.6  # beyond it, three of ten answers may move unnoticed: no limit any more
_ROOM = 1.25  # healthy windows may stray a quarter farther than those of the reference did


class _Check(NamedTuple):
    """A default check: name, decorator arguments, comment lines, assert lines."""

    name: str
    arguments: dict[str, str]
    comments: list[str]
    asserts: list[str]


def identifier(name: str) -> str:
    """A Python variable for a model of any name."""
    word = "".join(one if f"_{one}".isidentifier() else " " for one in name.lower())
    word = "_".join(word.replace("_", " ").split()) or "model"
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"model_{word}"


def monitor_file(reference: Reference, windows: list[Counts], source: str, holdout_share: float | None = None) -> str:
    """The text of a monitor file.

    Args:
        reference: learnt from the data.
        windows: counts of the reference's own time windows, from which limits are learnt; may be empty.
        source: name of the data it was learnt from, for a comment.
        holdout_share: of flagged rows, as the team draws it.
    """
    model = reference.model
    variable = identifier(model.name)
    file = f"monitor_{variable}.py"
    learnt = f"learnt from {reference.rows:,} rows of {source}"
    if reference.windows:
        learnt += f" in {reference.windows.number} windows (one a {reference.windows.unit})"
    drawn = "" if holdout_share is None else f", holdout_share={holdout_share:g}"
    parts = [
        '"""' + f"What we fear of the model '{variable}', and how we notice.",
        "",
        f"    wakeful test {file} DATA            what do these checks say of some rows?",
        f"    pytest {file} --live DATA           the same in a test run",
        f"    wakeful replay {file} HISTORY --every 1d     what would they have told us, last quarter?",
        f"    wakeful tune {file} HISTORY --every 1d       which limits would have kept quiet?",
        "",
        "docs/signals.md of wakeful says what each signal means.",
        "An assert fails when the data refute it, not when noise crosses a line. Checks that name a page or a",
        "ticket raise an alarm; the others explain one. Limits come from the data: change them where you know",
        "better. Windows say how much traffic is judged at once.",
        '"""',
        "",
        "import wakeful",
        "",
        f'{variable} = wakeful.Monitor("reference.json"{drawn})  # {learnt}',
    ]
    for title, checks in _sections(reference, windows, holdout_share):
        parts += ["", "", f"# {title[0]}", *(f"# {line}" for line in title[1:])]
        for check in checks:
            parts += ["", "", *_check_lines(variable, check)]
    return "\n".join(parts) + "\n"


def _check_lines(variable: str, check: _Check) -> Iterator[str]:
    arguments = ", ".join(f"{name}={_quoted(value)}" for name, value in check.arguments.items())
    line = f"@{variable}.check({arguments})"
    if len(line) <= 110:
        yield line
    else:
        yield f"@{variable}.check("
        for name, value in check.arguments.items():
            yield f"    {name}={_quoted(value)},"
        yield ")"
    yield f"def {check.name}(live):"
    for comment in check.comments:
        yield f"    # {comment}"
    for one in check.asserts:
        yield f"    assert {one}"


def _quoted(text: str) -> str:
    """A string literal as ruff formats it: in double quotes, unless it holds some."""
    literal = repr(text)
    return literal if '"' in text else '"' + literal[1:-1].replace("\\'", "'") + '"'


def _sections(
    reference: Reference, windows: list[Counts], holdout_share: float | None
) -> Iterator[tuple[list[str], list[_Check]]]:
    yield (
        [
            "1. Outcomes: is the model still right? Put each fear into the words of whoever it hurts,",
            'and the team to wake in place of "on-call".',
        ],
        [*_outcome_checks(reference, windows), *_holdout_checks(reference, holdout_share)],
    )
    yield (
        ["2. Answers: known at once, long before the outcomes. A broken model shows here first."],
        list(_answer_checks(reference, windows)),
    )
    faults = [*_label_checks(reference), *(_fault_checks(reference) if reference.model.features else ())]
    if faults:
        yield ["3. Faults: what healthy traffic never shows, whatever the season. They become tickets."], faults
    if not reference.model.features:
        return
    yield (
        ["4. Shifts: known values in other proportions. Usually a season: they explain, and wake nobody."],
        [
            _Check(
                "inputs_look_as_in_training",
                {"window": "24h"},
                ["Half of d1 is the share of rows that moved, beyond what noise explains."],
                ["live.features.d1() <= 0.2"],
            )
        ],
    )


def _outcome_checks(reference: Reference, windows: list[Counts]) -> Iterator[_Check]:
    model = reference.model
    if model.label is None:
        yield _arrival("No label was given, so there are no outcomes to check yet: wakeful init … --label COLUMN.")
        return
    page = {"window": "7d", "page": "on-call"}
    if model.task == "binary":
        subject = "live.holdout" if model.holdout else "live"
        if not _is_known(reference, "roc_auc"):
            yield _arrival("The labels leave flagged or unflagged rows out altogether, so they tell no quality.")
            return
        if model.threshold is not None or model.decision is not None:
            yield _Check(
                "flagged_are_right",
                page | {"fear": "We flag cases that we should not"},
                [_seen("Precision", reference, "precision")],
                [f"{subject}.precision() >= {_at_least(reference, windows, 'precision')}"],
            )
            yield _Check(
                "cases_are_found",
                page | {"fear": "We miss the cases that the model is there to find"},
                [_seen("Recall", reference, "recall")],
                [f"{subject}.recall() >= {_at_least(reference, windows, 'recall')}"],
            )
        yield _Check(
            "scores_rank_cases",
            page | {"fear": "The score has stopped telling cases apart"},
            [_seen("ROC AUC (0.5 is a coin)", reference, "roc_auc")],
            [f"{subject}.roc_auc() >= {_at_least(reference, windows, 'roc_auc')}"],
        )
        low, high = _promise_limits(reference, windows)
        yield _Check(
            "scores_keep_their_promise",
            page | {"fear": "Cases turn out otherwise than their scores say, or outcomes arrive wrong"},
            [
                "Positive outcomes over those that the reference had at equal scores, and how much of what the score",
                "told of outcomes in the reference it still tells (1: all, 0: nothing). label_noise: as many outcomes",
                "as that share, turned round at random, would make scores as wrong.",
            ],
            [
                f"{low} <= {subject}.observed_to_expected() <= {high}",
                f"{subject}.calibration_slope() >= {_slope_limit(reference, windows)}",
                f"{subject}.label_noise() <= {_noise_limit(reference, windows)}",
            ],
        )
    elif model.task == "multiclass":
        yield _Check(
            "classes_are_right",
            page | {"fear": "We put cases into the wrong class"},
            [_seen("Accuracy", reference, "accuracy")],
            [
                f"live.accuracy() >= {_at_least(reference, windows, 'accuracy')}",
                f"live.recall() >= {_at_least(reference, windows, 'recall')}",
            ],
        )
    else:
        error = _at_most(reference, windows, "mean_absolute_error")
        lean = _at_most(reference, windows, "bias")
        yield _Check(
            "predictions_are_close",
            page | {"fear": "Our predictions are too far off"},
            [_seen("Mean absolute error", reference, "mean_absolute_error")],
            [f"live.mean_absolute_error() <= {error}"],
        )
        yield _Check(
            "predictions_are_fair",
            page | {"fear": "Our predictions are always too high or too low"},
            [_seen("Bias (mean of prediction - label)", reference, "bias")],
            [f"-{lean} <= live.bias() <= {lean}"],
        )


def _label_checks(reference: Reference) -> Iterator[_Check]:
    """A join that breaks looks like a model that does, or hides that one has."""
    if reference.model.label is None:
        return
    yield _Check(
        "outcomes_arrive",
        {
            "window": "7d",
            "ticket": "ml-team",
            "fear": "Outcomes get lost on their way, so quality is not what it seems",
        },
        [
            "Judged where outcomes are joined: wakeful replay … --outcomes OUTCOMES. Outcomes over those that as many",
            "predictions had before, at the same age; those that came too late to count; those told with two values.",
        ],
        [
            "live.outcomes_arrived() >= 0.9",
            "live.outcomes_late() <= 0.05",
            "live.outcomes_contradicted() <= 0.01",
        ],
    )


def _holdout_checks(reference: Reference, share: float | None) -> Iterator[_Check]:
    """A holdout that is lost, or not drawn at random, blinds every check above without a sign."""
    if reference.model.holdout is None or reference.model.task != "binary":
        return
    known, _ = _quality(reference.counts, reference, "holdout_share")
    drawn = share if share is not None else known if known > 0 else None
    low, high = (0.005, 1.0) if drawn is None else (drawn / 2, min(1.0, 2 * drawn))
    comment = "Say --holdout-share to `wakeful init` for limits around it." if drawn is None else ""
    yield _Check(
        "holdout_is_drawn",
        {"window": "24h", "page": "on-call", "fear": "We no longer see whether the cases that we flag are right"},
        [comment or f"Of flagged rows, {drawn:.2g} are held out.", "Held-out rows score as the other flagged ones do."],
        [f"{low:.3g} <= live.holdout_share() <= {high:.3g}", "live.holdout_d1() <= 0.2"],
    )


def _promise_limits(reference: Reference, windows: list[Counts]) -> tuple[str, str]:
    """Observed over expected outcomes: a constant, or beyond how far the reference's own windows strayed."""
    _, own = _quality(reference.counts, reference, "observed_to_expected")
    found = [_quality(one, reference, "observed_to_expected") for one in windows]
    above = _usual_worst([math.log(ratio) - 2 * noise / ratio for ratio, noise in found if ratio > 0])
    below = _usual_worst([-math.log(ratio) - 2 * noise / ratio for ratio, noise in found if ratio > 0])
    low, high = (math.exp(max(math.log(_MOST_RATIO), 4 * own, _ROOM * one)) for one in (below, above))
    return f"{math.floor(100 / low) / 100:g}", f"{math.ceil(100 * high) / 100:g}"


def _slope_limit(reference: Reference, windows: list[Counts]) -> str:
    """Outcomes follow the score by so much of what they did in the reference; less if its own windows did."""
    found = [_quality(one, reference, "calibration_slope") for one in windows]
    worst = _usual_worst([1 - slope - 2 * noise for slope, noise in found])
    return f"{math.floor(100 * max(0.0, min(_LEAST_SLOPE, 1 - _ROOM * worst))) / 100:g}"


def _noise_limit(reference: Reference, windows: list[Counts]) -> str:
    """So many outcomes may look turned round; more if they did in the reference's own windows."""
    found = [_quality(one, reference, "label_noise") for one in windows]
    worst = _usual_worst([share - 2 * noise for share, noise in found])
    return f"{math.ceil(100 * max(_MOST_TURNED, _ROOM * worst)) / 100:g}"


def _arrival(comment: str) -> _Check:
    arguments = {"window": "24h", "page": "on-call", "fear": "The model answers nobody"}
    return _Check("answers_arrive", arguments, [comment], ["live.traffic() >= 1"])


def _is_known(reference: Reference, name: str) -> bool:
    return math.isfinite(_quality(reference.counts, reference, name)[0])


def _quality(counts: Counts, reference: Reference, name: str) -> tuple[float, float]:
    """Value of an outcome signal and its typical noise."""
    signal = signals.find(name, reference.model.task)
    found = signal.estimate(outcomes(counts), outcomes(reference.counts), {}, 0.05)
    return found.value, found.noise


def _seen(what: str, reference: Reference, name: str) -> str:
    value, _ = _quality(reference.counts, reference, name)
    varies = f" It varied by the {reference.windows.unit}, which the limit allows for." if reference.windows else ""
    return f"{what} was {value:.3g} in the reference.{varies}"


def _at_least(reference: Reference, windows: list[Counts], name: str) -> str:
    """A limit below the reference by 15% of what it has over chance, and lower if its own windows were."""
    value, noise = _quality(reference.counts, reference, name)
    floor = 0.5 if name == "roc_auc" else 0.0
    limit = value - max(0.15 * (value - floor), 3 * noise)
    found = [_quality(one, reference, name) for one in windows]
    limit = min(limit, value - _ROOM * _usual_worst([value - worst - 2 * error for worst, error in found]))
    return f"{math.floor(max(limit, floor, 0.0) * 100) / 100:g}"


def _at_most(reference: Reference, windows: list[Counts], name: str) -> str:
    """A limit a quarter above the reference's error, higher if its windows were."""
    value, noise = _quality(reference.counts, reference, name)
    typical, _ = _quality(reference.counts, reference, "mean_absolute_error")
    limit = max(abs(value) + 3 * noise, 0.25 * typical if name == "bias" else 1.25 * value)
    found = [_quality(one, reference, name) for one in windows]
    limit = max(limit, _ROOM * _usual_worst([abs(worst) - 2 * error for worst, error in found]))
    digits = 1 - math.floor(math.log10(limit)) if limit > 0 else 2
    return f"{math.ceil(limit * 10**digits) / 10**digits:g}"


def _answer_checks(reference: Reference, windows: list[Counts]) -> Iterator[_Check]:
    model = reference.model
    page = {"window": "6h", "page": "on-call"}
    asserts, share = [f"live.score.d1() <= {_shift_limit(reference, windows)}"], []
    if model.task == "binary" and (model.threshold is not None or model.decision is not None):
        low, high = _flagged_limits(reference, windows)
        share = [f"{low} <= live.flagged_share() <= {high}" if low != "0" else f"live.flagged_share() <= {high}"]
    yield _Check(
        "answers_keep_their_shape",
        page | {"fear": "The model answers differently than it used to"},
        ["Half of d1 is the share of answers that moved, beyond what noise explains."],
        asserts + share,
    )
    if share:
        yield _Check(
            "as_many_are_flagged",
            page | {"window": "7d", "fear": "We flag more cases than we mean to, or fewer"},
            ["The same over a week: a change too small for a few hours to tell from noise is told at last."],
            share,
        )
    broken = [
        "live.score.missing() <= live.reference.score.missing() + 0.01",
        "live.score.invalid() <= live.reference.score.invalid() + 0.005",
    ]
    if model.task != "multiclass":
        broken.append("live.score.out_of_range() <= live.reference.score.out_of_range() + 0.005")
    else:
        broken.append("live.score.unseen() <= live.reference.score.unseen() + 0.005")
    broken += ["live.score.spike() <= 0.005", "live.score.vanished() <= 0.005"]
    yield _Check(
        "answers_are_real",
        page | {"fear": "The model answers with a constant, a fallback, or nothing"},
        ["A spike is a single value that suddenly holds a share of all answers."],
        broken,
    )


def _has_repeated_ids(reference: Reference) -> bool:
    """Whether training had ids that repeat by nature, such as those of customers."""
    found = column_counts(reference.counts, IDS)
    return signals.find("duplicates", "rows").estimate(found, found, {}, 0.05).value > 0.01


def _shift_limit(reference: Reference, windows: list[Counts]) -> str:
    """d1 of the score: a constant, or beyond how far the reference's own windows strayed over their noise."""
    name = reference.model.score.name
    rho = reference.dispersion.get(name, Dispersion()).shape
    d1 = signals.find("d1", "column")
    usual = [column_counts(reference.at_hours_of(one).counts, name, 0, reference.counts) for one in windows]
    found = [
        d1.estimate(column_counts(one, name), expected, {}, 0.05, rho)
        for one, expected in zip(windows, usual, strict=True)
    ]
    strayed = _usual_worst([one.value - one.noise for one in found])
    return f"{math.ceil(min(max(_SHIFT, _ROOM * strayed), _MOST_SHIFT) * 100) / 100:g}"


def _usual_worst(strays: list[float]) -> float:
    """How far windows stray, the wildest of every twenty left out: one odd week is no reason to be blind."""
    known = sorted(stray for stray in strays if math.isfinite(stray))
    return max(0.0, known[-1 - len(known) // 20]) if known else 0.0


def _flagged_limits(reference: Reference, windows: list[Counts]) -> tuple[str, str]:
    value, own = _quality(reference.counts, reference, "flagged_share")
    odds = value / max(1 - value, 1e-9)
    low, high = odds / _MOST_ODDS / (1 + odds / _MOST_ODDS), odds * _MOST_ODDS / (1 + odds * _MOST_ODDS)
    low, high = min(low, value - 4 * own), max(high, value + 4 * own)  # a small reference knows it no better
    shares = [_quality(one, reference, "flagged_share") for one in windows]
    low = min(low, value - _ROOM * _usual_worst([value - share - 2 * noise for share, noise in shares]))
    high = max(high, value + _ROOM * _usual_worst([share - value - 2 * noise for share, noise in shares]))
    digits = 3 if value > 0.05 else 4
    unit = 10**digits
    return f"{math.floor(max(low, 0.0) * unit) / unit:g}", f"{math.ceil(min(high, 1.0) * unit) / unit:g}"


def _fault_checks(reference: Reference) -> Iterator[_Check]:
    model = reference.model
    if model.id is not None and not _has_repeated_ids(reference):
        yield _Check(
            "rows_come_once",
            {"window": "6h", "ticket": "ml-team", "fear": "Requests are sent, or logged, twice"},
            [f"Share of rows whose {model.id} came before."],
            ["live.duplicates() <= 0.02"],
        )
    kinds = {column.kind for column in model.features}
    asserts = [
        "live.features.missing() <= live.reference.features.missing() + 0.02",
        "live.features.invalid() <= live.reference.features.invalid() + 0.005",
    ]
    asserts.append("live.features.unseen() <= live.reference.features.unseen() + 0.01")
    if "numeric" in kinds:
        asserts.append("live.features.out_of_range() <= live.reference.features.out_of_range() + 0.01")
        asserts.append("live.features.off_grid() <= live.reference.features.off_grid() + 0.01")
    asserts.append("live.features.spike() <= 0.005")
    if kinds & {"numeric", "categorical", "boolean"}:
        asserts.append("live.features.vanished() <= 0.005")
    yield _Check(
        "inputs_are_whole",
        {"window": "6h", "ticket": "ml-team", "fear": "The model decides on broken data"},
        [
            "Missing, of the wrong type, never seen in training, beyond its range, with more decimals than",
            "training had (another unit), one value that suddenly holds a share of the rows (an error code,",
            "a default), and values that no longer occur.",
        ],
        asserts,
    )
    for number, segment in enumerate(model.segments, 1):
        same = sum(identifier(one) == identifier(segment) for one in model.segments) > 1
        apart = f"live.by({_quoted(segment)}).features"
        usual = f"live.reference.by({_quoted(segment)}).features"
        yield _Check(
            f"inputs_are_whole_by_{identifier(segment)}" + (f"_{number}" if same else ""),
            {
                "window": "24h",
                "ticket": "ml-team",
                "fear": f"The model decides on broken data for one {segment}",
            },
            ["What breaks for one part of the traffic may drown in the whole."],
            [f"{apart}.missing() <= {usual}.missing() + 0.05"]
            + ([f"{apart}.out_of_range() <= {usual}.out_of_range() + 0.02"] if "numeric" in kinds else []),
        )
