"""Checks: plain functions with plain asserts, each of which is reported, or refused with file and line."""

from __future__ import annotations

import functools
import inspect
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.verdicts import Verdict

LIMIT = 0.3
HERE = Path(__file__).name


@pytest.fixture
def monitor(reference: wakeful.Reference) -> wakeful.Monitor:
    return wakeful.Monitor(reference)


@pytest.fixture
def judge(monitor: wakeful.Monitor, traffic: Any) -> Callable[..., list[Verdict]]:
    """What a check says of healthy traffic, or of other rows."""

    def verdicts(check: Any, data: object = None, strict: bool = False, **options: Any) -> list[Verdict]:
        monitor.check(**options)(check)
        return monitor.test(traffic() if data is None else data, strict=strict).verdicts

    return verdicts


def said(verdicts: list[Verdict]) -> list[tuple[str, float]]:
    return [(one.verdict, one.judgement.limit) for one in verdicts]


def messages(verdicts: list[Verdict]) -> list[str]:
    return [one.judgement.message for one in verdicts]


# ---------------------------------------------------------------- a check, from the outside


def test_a_model_that_does_well_passes_and_one_that_does_not_fails(monitor: wakeful.Monitor, traffic: Any):
    @monitor.check(window="24h", page="credit-risk", fear="We turn away good applicants")
    def rejections_are_right(live):
        assert live.precision() >= 0.6

    assert monitor.test(traffic()).ok

    report = monitor.test(traffic(rejected=lambda data: 1 - data["rejected"]))

    assert not report.ok
    assert report.alarm
    [verdict] = report.failed
    assert (verdict.check, verdict.severity, verdict.verdict) == ("rejections_are_right", "page", "fail")
    assert verdict.assertion == "assert live.precision() >= 0.6"


def test_a_failure_says_what_was_measured_on_how_many_rows_and_what_is_usual(judge: Any, traffic: Any):
    def rejections_are_right(live):
        assert live.holdout.precision() >= 0.95

    data = traffic(rejected=lambda data: (data["score"] > 0.7).astype(int))

    [message] = messages(judge(rejections_are_right, data))

    number = r"0\.\d+"
    assert re.fullmatch(
        rf"precision on holdout {number} \({number}–{number}, n=\d+\) < 0\.95, reference {number}", message
    )
    held_out_and_flagged = (data["score"] >= 0.5) & data["held"]
    shares = data["rejected"][held_out_and_flagged]
    assert message.startswith(f"precision on holdout {shares.mean():.2f} (")
    assert f"n={held_out_and_flagged.sum()})" in message


def test_every_assert_is_reported_also_after_one_that_fails(judge: Any):
    def many(live):
        assert live.score.d1() <= 0.2
        assert live.precision() >= 0.99
        assert live["income"].missing() <= 0.01
        assert live.recall() >= 0.99

    verdicts = judge(many)

    assert [one.verdict for one in verdicts] == ["pass", "fail", "pass", "fail"]
    first = many.__code__.co_firstlineno
    assert [one.line for one in verdicts] == [first + 1, first + 2, first + 3, first + 4]


@pytest.mark.parametrize(
    ("options", "severity"),
    [
        ({"page": "on-call"}, "page"),
        ({"ticket": "ml"}, "ticket"),
        ({"page": "a", "ticket": "b"}, "page"),
        ({}, "explain"),
    ],
)
def test_a_check_pages_files_a_ticket_or_explains(judge: Any, options: dict[str, str], severity: str):
    def impossible(live):
        assert live.precision() >= 0.999

    [verdict] = judge(impossible, **options)

    assert (verdict.severity, verdict.verdict) == (severity, "fail")


def test_only_pages_and_tickets_are_alarms(monitor: wakeful.Monitor, traffic: Any):
    @monitor.check()
    def explains(live):
        assert live.precision() >= 0.999

    report = monitor.test(traffic())

    assert not report.ok
    assert not report.alarm


# ---------------------------------------------------------------- three verdicts


def on_few_rows(live):
    assert live.precision() >= 0.85


def test_noise_alone_does_not_fail_a_check_but_many_rows_do(judge: Any, traffic: Any):
    few = traffic(60)
    flagged = few["score"] >= 0.5
    assert few["rejected"][flagged].mean() < 0.85  # on the wrong side, but 60 rows do not prove it

    [verdict] = judge(on_few_rows, few)

    assert verdict.verdict == "unsure"
    assert "is not clearly ≥ 0.85" in verdict.judgement.message
    assert verdict.judgement.low < 0.85 < verdict.judgement.high


def test_enough_rows_refute(judge: Any, traffic: Any):
    [verdict] = judge(on_few_rows, traffic(20_000))

    assert verdict.verdict == "fail"
    assert verdict.judgement.high < 0.85
    assert " < 0.85, reference" in verdict.judgement.message


def test_a_release_gate_wants_support_not_just_the_absence_of_refutation(monitor: wakeful.Monitor, traffic: Any):
    @monitor.check(page="on-call")
    def precise(live):
        assert live.precision() >= 0.7

    few, many = traffic(60), traffic(20_000)

    assert monitor.test(few).ok
    strict = monitor.test(few, strict=True)
    assert [one.verdict for one in strict.failed] == ["unsure"]
    assert strict.alarm
    assert monitor.test(many, strict=True).ok


def test_below_min_n_a_check_does_not_fail(monitor: wakeful.Monitor, traffic: Any):
    data = traffic(200, rejected=lambda data: 1 - data["rejected"])

    @monitor.check(min_n=500)
    def patient(live):
        assert live.precision() >= 0.6

    @monitor.check(min_n=50)
    def hasty(live):
        assert live.precision() >= 0.6

    waits, fails = monitor.test(data).verdicts

    assert waits.verdict == "unsure"
    assert "fewer than min_n=500" in waits.judgement.message
    assert fails.verdict == "fail"
    assert "min_n" not in fails.judgement.message


def test_without_rows_to_estimate_from_a_check_is_unsure_and_says_so(judge: Any, traffic: Any):
    def precise(live):
        assert live.precision() >= 0.9

    [verdict] = judge(precise, traffic(rejected=None) | {"rejected": [None] * 2_000})

    assert verdict.verdict == "unsure"
    assert verdict.judgement.message == "precision: no live values to estimate it from"


def test_more_asserts_share_the_same_alarm_budget(reference: wakeful.Reference, traffic: Any):
    def width(asserts: int, budget: str) -> float:
        monitor = wakeful.Monitor(reference, alarm_budget=budget)

        @monitor.check()
        def precise(live):
            for _ in range(asserts):
                assert live.precision() >= 0.6

        judged = monitor.test(traffic()).verdicts[0].judgement
        return judged.high - judged.low

    assert width(1, "1/90d") < width(50, "1/90d")
    assert width(1, "10/90d") < width(1, "1/90d") < width(1, "1/900d")


# ---------------------------------------------------------------- what an assert may look like


def test_a_chained_comparison_is_two_hypotheses(judge: Any):
    def chained(live):
        assert 0.9 <= live.flagged_share() <= 0.95, "too few applications are flagged"

    below, above = judge(chained)

    assert (below.verdict, below.judgement.limit) == ("fail", 0.9)
    assert (above.verdict, above.judgement.limit) == ("pass", 0.95)
    assert below.note == above.note == "too few applications are flagged"


def test_and_is_two_asserts(judge: Any):
    def both(live):
        assert live.precision() >= 0.99 and live.recall() >= 0.1 and live.score.d1() <= 0.2

    assert [one.verdict for one in judge(both)] == ["fail", "pass", "pass"]


def test_messages_may_be_made_from_what_is_at_hand(judge: Any):
    def noted(live):
        for name in ("income", "rent"):
            assert live[name].missing() <= 0.1, f"{name} is needed"

    assert [one.note for one in judge(noted)] == ["income is needed", "rent is needed"]


def test_a_loop_over_constants_makes_one_assert_per_round(judge: Any):
    def looped(live):
        for name, limit in {"income": 0.2, "rent": 0.25}.items():
            assert live[name].d1() <= limit

    verdicts = judge(looped)

    assert [(one.judgement.column, one.judgement.limit) for one in verdicts] == [("income", 0.2), ("rent", 0.25)]


def test_closures_module_constants_defaults_and_helpers_are_what_they_are_in_python(judge: Any):
    closed_over = 0.31

    def limit_of(name: str) -> float:
        return {"income": 0.32}[name]

    def uses_all(live, default=0.33, *, keyword=0.34):
        assert live.score.d1() <= LIMIT
        assert live.score.d1() <= closed_over
        assert live.score.d1() <= limit_of("income")
        assert live.score.d1() <= default
        assert live.score.d1() <= keyword

    assert [one.judgement.limit for one in judge(uses_all)] == [0.3, 0.31, 0.32, 0.33, 0.34]


def within(live_value: Any, limit: float) -> Any:
    return live_value <= limit


def test_a_helper_may_return_a_comparison(judge: Any):
    def helped(live):
        assert within(live.score.d1(), 0.2)
        assert within(live["income"].missing(), 0.1)

    assert said(judge(helped)) == [("pass", 0.2), ("pass", 0.1)]


def test_constant_conditions_and_names_for_live_values_are_fine(judge: Any):
    def plain(live, deep=True):
        score = live.score
        if deep:
            assert score.d1() <= 0.2
        assert (missing := score.missing()) <= 0.1
        assert missing <= 0.2

    assert [limit for _, limit in said(judge(plain))] == [0.2, 0.1, 0.2]


def test_a_check_inside_a_class_or_function_may_hold_strings_of_several_lines(judge: Any):
    class Group:
        def inner(live):  # noqa: N805
            """Not dedented:
            text that begins at the left border."""
            assert (
                live.score.d1()  # a comment
                <= 0.2
            ), """a note
of two lines"""

    [verdict] = judge(Group.inner)

    assert verdict.note == "a note\nof two lines"
    assert verdict.judgement.limit == 0.2


def test_one_check_may_be_registered_on_two_monitors(reference: wakeful.Reference, traffic: Any):
    first, second = wakeful.Monitor(reference), wakeful.Monitor(reference)

    @first.check(page="on-call")
    @second.check()
    def shared(live):
        assert live.score.d1() <= 0.2

    assert [first.test(traffic()).ok, second.test(traffic()).ok] == [True, True]
    assert (first.checks[0].severity, second.checks[0].severity) == ("page", "explain")


def test_a_function_may_be_registered_again_and_again_under_names_of_its_own(monitor: wakeful.Monitor, traffic: Any):
    for window, limit in ("1h", 0.3), ("24h", 0.2):

        def shape(live, limit=limit):
            assert live.score.d1() <= limit

        shape.__name__ = f"shape_of_{window}"
        monitor.check(window=window)(shape)

    verdicts = monitor.test(traffic()).verdicts
    assert [(one.check, one.judgement.limit) for one in verdicts] == [("shape_of_1h", 0.3), ("shape_of_24h", 0.2)]


def test_a_check_is_still_the_function_that_was_written(monitor: wakeful.Monitor):
    @monitor.check()
    def plain(live):
        """What it is for."""
        assert live == 3

    assert plain(3) is None
    assert plain.__doc__ == "What it is for."
    with pytest.raises(AssertionError):
        plain(4)


def test_numpy_numbers_and_numbers_like_them_are_limits(judge: Any):
    class Limit:
        def __float__(self) -> float:
            return 0.25

    def numpy_limits(live):
        assert np.float64(0.0) <= live.score.d1() <= np.float32(0.5)
        assert np.int64(2) * live.score.d1() <= Limit()
        assert live.score.d1() + np.float64(0.5) <= 1

    verdicts = judge(numpy_limits)

    assert [one.judgement.limit for one in verdicts] == [0.0, 0.5, 0.25, 1.0]
    plain, _, doubled, raised = (one.judgement.estimate for one in verdicts)
    assert (doubled, raised) == (2 * plain, plain + 0.5)


def test_arithmetic_comes_to_what_it_does_on_the_numbers(judge: Any, traffic: Any):
    formulas: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b / 1_000,
        lambda a, b: a / b,
        lambda a, b: -b + a,
        lambda a, b: abs(b - a),
        lambda a, b: 2 * a - 3 * (b - 1) / 4,
        lambda a, b: 100_000 - a,
        lambda a, b: 1e6 / b,
        lambda a, b: sum([a, b, 0.5]),
    ]

    def compares(live):
        for formula in formulas:
            assert formula(live["income"].mean(), live["rent"].mean()) >= -1e9

    data = traffic()
    a, b = data["income"].mean(), data["rent"].mean()

    estimates = [one.judgement.estimate for one in judge(compares, data)]

    assert estimates == pytest.approx([formula(a, b) for formula in formulas], rel=1e-3)


def test_two_live_values_may_be_held_against_each_other(judge: Any, traffic: Any):
    def orders(live):
        assert live["income"].mean() >= live["rent"].mean()
        assert live["income"].mean() <= live["rent"].mean()

    holds, refuted = judge(orders)

    assert (holds.verdict, refuted.verdict) == ("pass", "fail")
    assert holds.judgement.limit == pytest.approx(traffic()["rent"].mean(), rel=1e-3)


def test_the_limit_may_stand_on_the_left(judge: Any):
    def turned_round(live):
        assert live.precision() >= 0.99
        assert live.reference.precision() - 0.5 <= live.precision()

    refuted, holds = judge(turned_round)

    assert (refuted.verdict, holds.verdict) == ("fail", "pass")
    assert " < 0.99, reference" in refuted.judgement.message
    assert holds.judgement.estimate > holds.judgement.limit


def test_live_reference_is_the_same_question_asked_of_training(judge: Any, reference: wakeful.Reference, traffic: Any):
    def not_worse(live):
        assert live.precision() >= live.reference.precision() - 0.05
        assert live.features.missing() <= live.reference.features.missing() + 0.02

    verdicts = judge(not_worse)

    data = traffic(5_000, seed=0)
    precision = data["rejected"][data["score"] >= 0.5].mean()
    assert verdicts[0].judgement.limit == pytest.approx(precision - 0.05)
    debt = next(one.judgement for one in verdicts if one.judgement.column == "debt")
    assert debt.limit == pytest.approx(np.isnan(data["debt"]).mean() + 0.02)
    assert all(one.verdict == "pass" for one in verdicts)


def test_a_vector_gives_a_verdict_per_column(judge: Any, reference: wakeful.Reference, traffic: Any):
    def vectors(live):
        assert live["income", "debt"].missing() <= 0.05
        assert live.features.d1() <= 0.25
        assert live.features.mean() >= 0

    verdicts = judge(vectors)

    columns = [one.judgement.column for one in verdicts]
    features = ["income", "rent", "debt", "city", "owner", "platform"]
    assert columns == ["income", "debt", *features, "income", "rent", "debt"]
    assert [one.verdict for one in verdicts[:2]] == ["pass", "fail"]
    assert verdicts[1].judgement.message.startswith("debt: missing 0.")


def test_segments_are_judged_apart(judge: Any, traffic: Any):
    def by_platform(live):
        assert live.by("platform").precision() >= 0.6
        assert live.by("platform").features.missing() <= live.reference.by("platform").features.missing() + 0.1

    data = traffic(
        debt=lambda data: np.where(data["platform"] == "app", np.nan, data["debt"]),
        rejected=lambda data: np.where(data["platform"] == "app", 0, data["rejected"]),
    )

    verdicts = judge(by_platform, data)

    failed = [(str(one.judgement.part), one.judgement.column) for one in verdicts if one.verdict == "fail"]
    assert failed == [("platform=app", None), ("platform=app", "debt")]
    assert messages(verdicts)[0].startswith("[platform=web] precision 0.")
    precisions = {str(one.judgement.part): one.judgement.estimate for one in verdicts[:2]}
    web = (data["platform"] == "web") & (data["score"] >= 0.5)
    assert precisions == {"platform=web": pytest.approx(data["rejected"][web].mean()), "platform=app": 0.0}


def test_a_datetime_is_asked_for_by_its_name_or_by_its_parts(traffic: Any):
    hours = np.datetime64("2024-01-01T00") + np.arange(2_000).astype("timedelta64[h]")
    data = traffic() | {"applied_at": hours.astype("datetime64[s]")}
    monitor = wakeful.Monitor(wakeful.learn(data, score="score"))

    @monitor.check()
    def evenly(live):
        assert live["applied_at"].d1() <= 0.2
        assert live["applied_at.weekday"].d1() <= 0.2

    verdicts = monitor.test(data).verdicts

    assert [one.judgement.column for one in verdicts] == ["applied_at.hour", "applied_at.weekday", "applied_at.weekday"]


def test_a_users_own_signal_is_one_more_word_in_an_assert(judge: Any, traffic: Any):
    @wakeful.signal
    def share_of_first_bins(live, bins=2):
        return wakeful.Share(live.values[:bins].sum(), live.n)

    def own(live):
        assert share_of_first_bins(live["city"], bins=1) <= 0.3
        assert share_of_first_bins(live["city"]) <= 0.9

    first, both = judge(own)

    cities = traffic()["city"]
    assert first.judgement.estimate == (cities == "Berlin").mean()
    assert both.judgement.estimate == (cities != "Köln").mean()
    assert (first.verdict, both.verdict) == ("fail", "pass")


# ---------------------------------------------------------------- what cannot be a check: file and line


def marked(function: Callable[..., Any]) -> int:
    """The line of a function that ends in `# here`."""
    lines, first = inspect.getsourcelines(function)
    return first + next(at for at, line in enumerate(lines) if line.rstrip().endswith("# here"))


def branches(live):
    if live.score.d1() > 0.2:  # here
        assert live.precision() >= 0.9


def loops(live):
    while live.score.d1() > 0.2:  # here
        assert live.precision() >= 0.9


def chooses(live):
    limit = 0.9 if live.score.d1() > 0.2 else 0.8  # here
    assert live.precision() >= limit


def asks_whether_a_value_is_true(live):
    if live.score.d1():  # here
        assert live.precision() >= 0.9


def denies(live):
    ok = not live.score.d1()  # here
    assert ok


def is_one_of_some_in_an_if(live):
    if 0.2 in [live.score.d1()]:  # here
        assert live.precision() >= 0.9


def makes_a_float(live):
    assert float(live.score.d1()) <= 0.2  # here


def makes_an_int(live):
    assert int(live.score.d1()) <= 1  # here


def asks_all(live):
    assert all(live[name].d1() <= 0.2 for name in ("income", "rent"))  # here


def asks_any(live):
    assert any([live.score.d1() <= 0.2])  # here


def takes_the_largest(live):
    assert max(live["income"].d1(), live["rent"].d1()) <= 0.2  # here


def helper_that_asserts(live):
    assert live.precision() >= 0.9  # here


def calls_a_helper_that_asserts(live):
    assert live.score.d1() <= 0.2
    helper_that_asserts(live)


CONTROL_FLOW = [
    branches, loops, chooses, asks_whether_a_value_is_true, denies, is_one_of_some_in_an_if, makes_a_float,
    makes_an_int, asks_all, asks_any, takes_the_largest,
]  # fmt: skip


@pytest.mark.parametrize("check", CONTROL_FLOW, ids=lambda check: check.__name__)
def test_nothing_may_depend_on_a_live_value(judge: Any, check: Any):
    with pytest.raises(wakeful.ControlFlowError) as caught:
        judge(check)

    message = str(caught.value)
    assert message.startswith(f"{HERE}:{marked(check)}: ")
    assert "live value" in message
    assert "Write every comparison as an assert of the check itself" in message


def test_an_assert_in_a_helper_is_refused_not_dropped(judge: Any):
    with pytest.raises(wakeful.ControlFlowError) as caught:
        judge(calls_a_helper_that_asserts)

    assert str(caught.value).startswith(f"{HERE}:{marked(helper_that_asserts)}: ")
    assert "may return a comparison, but not assert it" in str(caught.value)


def says_or(live):
    assert live.score.d1() <= 0.2 or live.precision() >= 0.9  # here


def says_not(live):
    assert not live.score.d1() >= 0.2  # here


def says_or_inside_and(live):
    assert live.score.d1() <= 0.2 and (live.recall() > 0 or live.precision() >= 0.9)  # here


def says_in(live):
    assert live.score.d1() in (0.1, 0.2)  # here


def says_not_in(live):
    assert live.score.d1() not in (0.1, 0.2)  # here


def says_is(live):
    assert live.score.d1() is not None  # here


def says_not_equal(live):
    assert live.score.d1() != 0.2  # here


def says_not_equal_outside_of_an_assert(live):
    differs = live.score.d1() != 0.2  # here
    assert differs


def compares_nothing(live):
    assert live.score.d1()  # here


def has_no_call(live):
    assert live.score.d1  # here


def has_no_live_value(live):
    assert 0.1 <= 0.2  # here


def has_a_part_without_live_value(live):
    assert 0.5 <= 0.1 <= live.flagged_share()  # here


def asserts_a_tuple(live):
    assert [live.score.d1() <= 0.2, "a note"]  # here


def asserts_live_itself(live):
    assert live  # here


def compares_with_text(live):
    assert live.score.d1() <= "0.2"  # here


def compares_with_none(live):
    assert live.score.d1() <= None  # here


def compares_with_nan(live):
    assert live.score.d1() <= math.nan  # here


def compares_with_an_array(live):
    assert live.score.d1() <= np.array([0.1, 0.2])  # here


def compares_different_vectors(live):
    assert live["income", "rent"].d1() <= live["income", "debt"].d1()  # here


def names_no_column(live):
    assert live["incme"].missing() <= 0.1  # here


def names_a_column_like_a_signal(live):
    assert live.income.missing() <= 0.1  # here


def names_no_signal(live):
    assert live.precison() >= 0.1  # here


def names_no_signal_of_a_column(live):
    assert live.score.mising() <= 0.1  # here


def names_no_part(live):
    assert live.feature.missing() <= 0.1  # here


def names_no_segment(live):
    assert live.by("plattform").precision() >= 0.1  # here


def asks_a_category_for_its_mean(live):
    assert live["city"].mean() >= 0.1  # here


def asks_a_column_for_precision(live):
    assert live.score.precision() >= 0.1  # here


def asks_outcomes_for_a_distance(live):
    assert live.d1() >= 0.1  # here


def asks_a_column_for_traffic(live):
    assert live.score.traffic() >= 0.1  # here


def asks_a_classifier_for_r2(live):
    assert live.r2() >= 0.1  # here


def asks_the_holdout_for_a_column(live):
    assert live.holdout.score.d1() <= 0.1  # here


def asks_a_column_for_its_holdout(live):
    assert live.score.holdout.d1() <= 0.1  # here


def asks_no_column(live):
    assert live[()].d1() <= 0.1  # here


def gives_too_many_arguments(live):
    assert live.score.d1(3) <= 0.1  # here


def gives_an_unknown_argument(live):
    assert live["income"].quantile(levle=0.5) <= 0.1  # here


def gives_too_few_arguments(live):
    assert live["income"].quantile() <= 0.1  # here


def asks_for_an_impossible_quantile(live):
    assert live["income"].quantile(3) <= 0.1  # here


def asks_for_the_share_of_an_unknown_value(live):
    assert live["city"].share("Koeln") <= 0.1  # here


def raises(live):
    assert live.score.d1() <= 0.2
    1 / 0  # noqa: B018  # here


def raises_in_a_helper(live):
    assert live.score.d1() <= int("two")  # here


REFUSED: list[tuple[Any, str]] = [
    (says_or, "`or` says no single thing that could be refuted"),
    (says_not, "`not` says no single thing"),
    (says_or_inside_and, "`or` says no single thing"),
    (says_in, "cannot be compared with (0.1, 0.2)"),
    (says_not_in, "cannot be compared with (0.1, 0.2)"),
    (says_is, "cannot be compared with None"),
    (says_not_equal, "do not compare by '!='. Use <=, <, >=, > or =="),
    (says_not_equal_outside_of_an_assert, "An estimate is never exactly a number: use < or >"),
    (compares_nothing, "`assert live.score.d1()` compares nothing. Hold the live value against a limit."),
    (has_no_call, "has no live value, so it holds always or never"),
    (has_no_live_value, "`assert 0.1 <= 0.2` has no live value, so it holds always or never"),
    (has_a_part_without_live_value, "has no live value, so it holds always or never"),
    (asserts_a_tuple, "has no live value"),
    (asserts_live_itself, "has no live value"),
    (compares_with_text, "cannot be compared with '0.2'. Compare it with a number"),
    (compares_with_none, "cannot be compared with None. Compare it with a number"),
    (compares_with_nan, "cannot be compared with nan. Compare it with a number"),
    (compares_with_an_array, "arrays"),
    (compares_different_vectors, "two vectors of different columns cannot be compared: income, rent and income, debt"),
    (names_no_column, "unknown column 'incme'. Did you mean 'income'?"),
    (names_a_column_like_a_signal, "income is a column: ask live['income']"),
    (names_no_signal, "unknown signal 'precison'. Did you mean 'precision'"),
    (names_no_signal_of_a_column, "unknown signal 'mising'. Did you mean 'missing'"),
    (names_no_part, "unknown signal 'feature'. Did you mean 'features'?"),
    (names_no_segment, "unknown segment 'plattform'. Did you mean 'platform'?"),
    (asks_a_category_for_its_mean, "mean is defined on numeric columns, but city is categorical"),
    (asks_a_column_for_precision, "precision is a signal of outcomes, not of a column: ask live.precision()"),
    (asks_outcomes_for_a_distance, "d1 is a signal of a column: ask live.score.d1()"),
    (asks_a_column_for_traffic, "traffic is a signal of all rows, not of a column: ask live.traffic()"),
    (asks_a_classifier_for_r2, "r2 is a signal of regression models, this one is binary"),
    (asks_the_holdout_for_a_column, "the holdout is counted for outcomes only"),
    (asks_a_column_for_its_holdout, "the holdout is counted for outcomes only"),
    (asks_no_column, "no column is asked of"),
    (gives_too_many_arguments, "d1 takes 0 arguments (none), not 1"),
    (gives_an_unknown_argument, "unknown argument of quantile 'levle'. Did you mean 'level'?"),
    (gives_too_few_arguments, "quantile needs level: quantile(level=…)"),
    (asks_for_an_impossible_quantile, "a quantile's level is a share between 0 and 1, not 3"),
    (asks_for_the_share_of_an_unknown_value, "unknown frequent value of city 'Koeln'. Did you mean 'Köln'?"),
    (raises, "in raises: ZeroDivisionError: division by zero"),
    (raises_in_a_helper, "in raises_in_a_helper: ValueError: invalid literal for int()"),
]


@pytest.mark.parametrize(("check", "told"), REFUSED, ids=lambda one: getattr(one, "__name__", ""))
def test_what_cannot_be_judged_is_told_with_file_and_line(judge: Any, check: Any, told: str):
    with pytest.raises(wakeful.CheckError) as caught:
        judge(check)

    assert str(caught.value).startswith(f"{HERE}:{marked(check)}: ")
    assert told in str(caught.value)


def no_outcome(live):
    assert live.precision() >= 0.1  # here


def no_probability(live):
    assert live.brier_score() <= 0.1  # here


def no_holdout(live):
    assert live.holdout.precision() >= 0.1  # here


@pytest.mark.parametrize(
    ("check", "roles", "told"),
    [
        (no_outcome, {"threshold": 0.5}, "without a label, so there are no outcomes. Learn it with"),
        (no_outcome, {"label": "rejected"}, "the model has no decision: no threshold and no decision column"),
        (no_holdout, {"label": "rejected", "threshold": 0.5}, "no holdout column was named"),
    ],
)  # fmt: skip
def test_an_outcome_that_was_not_learnt_is_told_with_file_and_line(traffic: Any, check: Any, roles: Any, told: str):
    monitor = wakeful.Monitor(wakeful.learn(traffic(), score="score", **roles))
    monitor.check()(check)

    with pytest.raises(wakeful.CheckError) as caught:
        monitor.test(traffic())

    assert str(caught.value).startswith(f"{HERE}:{marked(check)}: in {check.__name__}: ")
    assert told in str(caught.value)


def test_a_score_that_is_no_probability_has_no_brier_score(traffic: Any):
    odds = traffic(score=lambda data: 10 * data["score"] - 5)
    monitor = wakeful.Monitor(wakeful.learn(odds, score="score", label="rejected", threshold=0))
    monitor.check()(no_probability)

    with pytest.raises(
        wakeful.CheckError, match="the score is no probability: the reference saw values from -"
    ) as caught:
        monitor.test(odds)

    assert str(caught.value).startswith(f"{HERE}:{marked(no_probability)}: ")
    assert "Use roc_auc" in str(caught.value)


def asserts_nothing(live):
    live.score.d1() <= 0.2  # noqa: B015


def yields(live):
    yield
    assert live.score.d1() <= 0.2


@pytest.mark.parametrize("check", [asserts_nothing, yields])
def test_a_check_without_asserts_is_refused(judge: Any, check: Any):
    line = check.__code__.co_firstlineno

    with pytest.raises(wakeful.CheckError, match=rf"^{HERE}:{line}: {check.__name__} asserts nothing\. Write: assert "):
        judge(check)


def takes_nothing():
    raise NotImplementedError


def takes_two(live, limit):
    assert live.score.d1() <= limit


@pytest.mark.parametrize("check", [takes_nothing, takes_two])
def test_a_check_takes_live_and_nothing_else(judge: Any, check: Any):
    with pytest.raises(
        wakeful.CheckError, match=rf"^{HERE}:\d+: in {check.__name__}: TypeError: {check.__name__}\(\) "
    ):
        judge(check)


async def waits(live):
    assert live.score.d1() <= 0.2


class Methods:
    def method(self, live):
        assert live.score.d1() <= 0.2

    def __call__(self, live):
        assert live.score.d1() <= 0.2


def passed_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(live):
        return function(live)

    return wrapper


@passed_on
def wrapped(live):
    assert live.score.d1() <= 0.2


def test_only_a_plain_function_can_be_a_check(monitor: wakeful.Monitor):
    line = waits.__code__.co_firstlineno
    with pytest.raises(
        wakeful.CheckError, match=rf"^{HERE}:{line}: .* plain function \(def\), not a lambda or async def"
    ):
        monitor.check()(waits)
    with pytest.raises(wakeful.CheckError, match="not a lambda or async def"):
        monitor.check()(lambda live: live.score.d1() <= 0.2)
    for other in (Methods().method, Methods(), functools.partial(takes_two, limit=0.2), "text"):
        with pytest.raises(wakeful.CheckError, match="a check must be a plain function"):
            monitor.check()(other)  # type: ignore[arg-type]
    with pytest.raises(
        wakeful.CheckError, match=r"wrapped is wrapped by another decorator.* Put @….check\(\) right above"
    ):
        monitor.check()(wrapped)
    assert monitor.checks == []


def test_two_checks_of_one_name_are_refused(monitor: wakeful.Monitor):
    @monitor.check()
    def twice(live):
        assert live.score.d1() <= 0.2

    def other(live):
        assert live.score.d1() <= 0.3

    other.__name__ = "twice"
    line = other.__code__.co_firstlineno
    with pytest.raises(wakeful.CheckError, match=rf"^{HERE}:{line}: a check named twice exists already. Rename one"):
        monitor.check()(other)


@pytest.mark.parametrize("window", ["", "24", "h", "24x", "-1h", "1.5h", "0h", "24 h", "²h", 24, None])
def test_a_window_is_a_number_and_a_unit(monitor: wakeful.Monitor, window: Any):
    line = on_few_rows.__code__.co_firstlineno

    with pytest.raises(wakeful.CheckError) as caught:
        monitor.check(window=window)(on_few_rows)

    assert str(caught.value).startswith(f"{HERE}:{line}: in on_few_rows: window {window!r} is no duration.")
    assert "30m, 24h, 7d, 2w" in str(caught.value)


@pytest.mark.parametrize("budget", ["", "1", "1/90", "/90d", "x/90d", "0/90d", "-1/90d", "nan/90d", "inf/90d", 3, None])
def test_an_alarm_budget_is_pages_per_period(reference: wakeful.Reference, budget: Any):
    with pytest.raises(wakeful.DataError, match=r"is no (alarm budget|duration)\. Write a?"):
        wakeful.Monitor(reference, alarm_budget=budget)


def test_a_check_whose_source_is_nowhere_is_refused(judge: Any):
    names: dict[str, Any] = {}
    exec("def typed_in(live):\n    assert live.score.d1() <= 0.2\n", names)

    with pytest.raises(
        wakeful.CheckError, match=r"^<string>:1: the source of typed_in cannot be read .*checks in a file"
    ):
        judge(names["typed_in"])


def test_python_without_asserts_is_refused(tmp_path: Path, reference: wakeful.Reference):
    reference.save(tmp_path / "reference.json")
    script = tmp_path / "monitor_loans.py"
    script.write_text(
        textwrap.dedent(
            """
            import wakeful

            loans = wakeful.Monitor("reference.json")


            @loans.check()
            def stays(live):
                assert live.score.d1() <= 0.2


            try:
                loans.assertions(loans.checks[0])
            except wakeful.CheckError as error:
                print(error)
            """
        )
    )

    def printed(*flags: str) -> str:
        return subprocess.run([sys.executable, *flags, str(script)], capture_output=True, text=True, check=True).stdout

    assert printed() == ""
    assert printed("-O").startswith(
        "monitor_loans.py:7: Python runs with -O, which strips the asserts that stays is made"
    )


def test_a_mistake_in_the_last_check_is_told_before_anything_is_judged(monitor: wakeful.Monitor, traffic: Any):
    @monitor.check()
    def fine(live):
        assert live.score.d1() <= 0.2

    monitor.check()(names_no_column)

    with pytest.raises(wakeful.CheckError, match="unknown column 'incme'"):
        monitor.test(traffic())


def test_a_monitor_without_checks_says_so(monitor: wakeful.Monitor, traffic: Any):
    with pytest.raises(wakeful.DataError, match=r"the monitor has no checks. Register one with @monitor.check\(\)"):
        monitor.test(traffic())
