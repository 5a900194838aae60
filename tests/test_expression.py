"""Live values: what can be asked of them, what they are called, and how sure their arithmetic is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful import signals
from wakeful.expression import (
    Comparison,
    Expression,
    Key,
    Leaf,
    Number,
    Op,
    atoms_of,
    calculate,
    describe,
    divisors_of,
    keys_of,
    leaves_of,
    on_reference,
)
from wakeful.question import Live
from wakeful.verdicts import Judgement, Window


@pytest.fixture
def monitor(reference: wakeful.Reference) -> wakeful.Monitor:
    return wakeful.Monitor(reference)


@pytest.fixture
def live(monitor: wakeful.Monitor) -> Live:
    return monitor.live


def judged(monitor: wakeful.Monitor, data: object, comparison: Any, alpha: float = 0.01) -> Judgement:
    [one] = Window(monitor.reference, monitor.count(data), alpha).judge(comparison)
    return one


# ---------------------------------------------------------------- in an ordinary test


def test_rows_are_judged_at_once_in_any_test(monitor: wakeful.Monitor, traffic: Any):
    live = monitor.on(traffic())

    assert live.score.d1() <= 0.2
    assert 0.1 <= live.flagged_share() <= 0.9
    assert live.precision() >= live.reference.precision() - 0.1
    assert all(live[name].missing() <= 0.01 for name in ("income", "rent"))
    assert not live.precision() >= 0.99
    assert not live.features.missing() <= 0.1  # debt is missing in a fifth of the rows


def test_rows_that_are_too_few_to_refute_pass_unless_asked_strictly(monitor: wakeful.Monitor, traffic: Any):
    few = traffic(40)

    assert monitor.on(few).precision() >= 0.9
    assert not monitor.on(few, strict=True).precision() >= 0.9
    assert monitor.on(traffic(20_000), strict=True).precision() >= 0.7


def test_a_failing_test_shows_the_value_with_its_interval(monitor: wakeful.Monitor, traffic: Any):
    live = monitor.on(traffic())

    assert re.fullmatch(r"score: d1 0\.\d+ \(0–0\.\d+, n=2,000\)", repr(live.score.d1()))
    assert re.fullmatch(
        r"income: missing 0 \(0–0\.\d+, n=2,000\)\ndebt: missing 0\.\d+ \(0\.\d+–0\.\d+, n=2,000\)",
        repr(live["income", "debt"].missing()),
    )
    assert repr(live.by("platform").precision()).startswith("platform=web precision 0.")


def test_a_live_value_that_is_only_read_says_what_it_is(live: Live):
    assert repr(live.holdout.precision()) == "<live value precision on holdout>"


# ---------------------------------------------------------------- what it is called


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (lambda live: live.precision(), "precision"),
        (lambda live: live.holdout.precision(), "precision on holdout"),
        (lambda live: live.reference.precision() - 0.05, "precision in the reference - 0.05"),
        (lambda live: live["income"].quantile(0.5), "quantile(level=0.5)"),
        (lambda live: live["city"].share("Köln"), "share(value='Köln')"),
        (lambda live: (live.precision() - live.recall()) * 2, "(precision - recall) * 2"),
        (lambda live: live.precision() - (live.recall() - 1), "precision - (recall - 1)"),
        (lambda live: 1 - live.precision() / (live.recall() + 1), "1 - (precision / (recall + 1))"),
        (lambda live: live.precision() * live.recall(), "precision * recall"),
        (lambda live: -live.precision(), "-precision"),
        (lambda live: abs(live.precision() - 1), "abs(precision - 1)"),
        (lambda live: live["income"].mean() / live["rent"].mean(), "income mean / rent mean"),
        (lambda live: live.features.missing() + live["income"].missing(), "missing + income missing"),
    ],
)
def test_a_formula_in_words_can_be_read_back(live: Live, formula: Any, words: str):
    assert describe(formula(live).node) == words


def test_a_verdict_on_one_column_names_it_once(monitor: wakeful.Monitor, live: Live, traffic: Any):
    assert judged(monitor, traffic(), live["income"].mean() >= 0).message.startswith("income: mean 4")
    ratio = live["income"].mean() / live["rent"].mean() >= 0
    assert judged(monitor, traffic(), ratio).message.startswith("income: income mean / rent mean 5")


# ---------------------------------------------------------------- what can be asked


def test_tab_completion_knows_the_signals_of_what_is_asked(live: Live):
    assert {"precision", "recall", "roc_auc", "traffic", "holdout", "by", "features"} <= set(dir(live))
    assert "d1" not in dir(live)
    assert {"d1", "missing", "mean"} <= set(dir(live.score))
    assert "precision" not in dir(live.score)


def test_every_signal_can_be_asked_by_name(live: Live):
    arguments = {"quantile": (0.5,), "share": ("Köln",)}
    for name in signals.names("column"):
        column = live["city"] if name == "share" else live["income"]
        assert getattr(column, name)(*arguments.get(name, ())).node.signal.name == name
    for name in sorted(set(signals.names("binary", "rows")) - {"duplicates"}):  # which wants ids
        assert getattr(live, name)().node.signal.name == name


def test_columns_may_be_named_in_a_list(live: Live):
    assert live[["income", "rent"]].d1().node == live["income", "rent"].d1().node


def test_narrowing_may_come_in_any_order(live: Live):
    one = live.by("platform").reference["income"].missing().node
    other = live["income"].reference.by("platform").missing().node

    assert one == other
    assert live.by("platform").holdout.precision().node == live.holdout.by("platform").precision().node


def test_a_model_without_features_has_none_to_ask(traffic: Any):
    data = {name: values for name, values in traffic().items() if name in ("score", "rejected")}
    live = wakeful.Monitor(wakeful.learn(data, score="score", label="rejected")).live

    assert repr(live.score.d1()) == "<live value d1>"
    with pytest.raises(wakeful.SignalError, match="the model has no features"):
        live.features  # noqa: B018


def test_private_names_are_no_signals(live: Live):
    with pytest.raises(AttributeError):
        live.__array__  # noqa: B018


def test_what_is_no_number_does_not_calculate(live: Live):
    with pytest.raises(TypeError):
        live.precision() + "0.1"  # type: ignore[operator]
    with pytest.raises(TypeError):
        live.precision() ** 2  # type: ignore[operator]
    with pytest.raises(TypeError):
        hash(live.precision())


# ---------------------------------------------------------------- elements


def test_a_single_column_goes_with_every_element_of_a_vector(live: Live):
    node = (live["income", "rent"].d1() - live["debt"].missing()).node

    assert [key.column for key in keys_of(node)] == ["income", "rent"]
    assert [leaf.at(key).column for key in keys_of(node) for leaf in leaves_of(node)] == [
        "income",
        "debt",
        "rent",
        "debt",
    ]


def test_columns_and_segments_span_a_grid(live: Live):
    keys = keys_of((live.by("platform")["income", "rent"].missing() - live["debt"].missing()).node)

    assert len(keys) == 2 * len(live.slices["platform"])
    assert len(set(keys)) == len(keys)


def test_vectors_over_different_segments_do_not_compare(traffic: Any):
    reference = wakeful.learn(traffic(), score="score", segments=["platform", "city"])
    live = wakeful.Monitor(reference).live

    with pytest.raises(wakeful.SignalError, match="two vectors of different segments cannot be compared"):
        live.by("platform").score.d1() <= live.by("city").score.d1()  # noqa: B015


def test_the_live_side_is_the_one_that_is_estimated_from_live_traffic(live: Live):
    backwards = live.reference.precision() <= live.precision()

    assert isinstance(backwards, Comparison)
    assert backwards.live == (live.precision().node, live.reference.precision().node)
    assert (live.precision() >= 0.5).live == (live.precision().node, Number(0.5))


# ---------------------------------------------------------------- trees


def test_trees_are_walked_and_calculated(live: Live):
    a, b = live.precision().node, live.recall().node
    tree = (abs(live.precision() - live.recall()) / (live.recall() + 1)).node

    assert list(leaves_of(tree)) == [a, b, b]
    assert list(atoms_of(tree)) == [Op("abs", (Op("-", (a, b)),)), b]
    assert list(divisors_of(tree)) == [Op("+", (b, Number(1.0)))]
    assert calculate(tree, {a: 0.2, b: 0.6}) == pytest.approx(0.25)
    assert all(leaf.of_reference for leaf in leaves_of(on_reference(tree)))
    assert np.isnan(calculate((live.precision() / 0).node, {a: 0.5}))


def test_a_leaf_answers_for_its_element(live: Live):
    leaf = live["income", "rent"].missing().node
    everything = live.parts[0]

    assert isinstance(leaf, Leaf)
    assert leaf.at(Key("rent", everything)) == Key("rent", everything)


# ---------------------------------------------------------------- how sure arithmetic is


def test_the_interval_of_a_single_value_is_not_changed_by_a_limit_or_a_factor(
    monitor: wakeful.Monitor, live: Live, traffic: Any
):
    data = traffic()
    plain = judged(monitor, data, live.precision() >= 0.5)
    doubled = judged(monitor, data, 2 * live.precision() + 1 >= 0.5)
    turned = judged(monitor, data, 1 - live.precision() <= 0.5)

    assert (doubled.low, doubled.high) == pytest.approx((2 * plain.low + 1, 2 * plain.high + 1))
    assert (turned.low, turned.high) == pytest.approx((1 - plain.high, 1 - plain.low))


def test_two_uncertain_values_make_a_wider_interval_than_one(monitor: wakeful.Monitor, live: Live, traffic: Any):
    data = traffic()
    single = judged(monitor, data, live.precision() >= 0)
    difference = judged(monitor, data, live.precision() - live.reference.precision() >= -1)

    assert single.high - single.low < difference.high - difference.low < 3 * (single.high - single.low)
    assert difference.low < 0 < difference.high


def test_an_absolute_difference_that_may_be_nothing_reaches_down_to_zero(
    monitor: wakeful.Monitor, live: Live, traffic: Any
):
    difference = live["income"].mean() - live.reference["income"].mean()

    signed = judged(monitor, traffic(seed=3), difference >= -1e9)
    folded = judged(monitor, traffic(seed=3), abs(difference) <= 1)

    assert signed.low < 0 < signed.high
    assert folded.estimate == abs(signed.estimate)
    assert (folded.low, folded.high) == pytest.approx((0, max(-signed.low, signed.high)))
    assert folded.verdict == "unsure"  # a difference of 0 is well possible


def test_an_absolute_difference_that_is_real_fails(monitor: wakeful.Monitor, live: Live, traffic: Any):
    data = traffic(income=lambda data: 0.8 * data["income"])

    folded = judged(monitor, data, abs(live["income"].mean() - live.reference["income"].mean()) <= 1_000)

    assert folded.verdict == "fail"
    assert folded.low > 1_000


def test_a_ratio_whose_divisor_may_be_zero_proves_nothing(monitor: wakeful.Monitor, live: Live, traffic: Any):
    few = traffic(12, rejected=lambda data: (data["score"] < 0.5) | (np.arange(12) == data["score"].argmax()))
    by_recall = live.reference.recall() / live.recall() <= 1.0001

    unsure = judged(monitor, few, by_recall)
    sure = judged(monitor, traffic(2_000, rejected=lambda data: 1 - data["rejected"]), by_recall)

    assert (unsure.verdict, unsure.low, unsure.high) == ("unsure", -np.inf, np.inf)
    assert sure.verdict == "fail"


def test_the_rows_behind_a_formula_are_those_of_its_weakest_part(monitor: wakeful.Monitor, live: Live, traffic: Any):
    data = traffic()

    both = judged(monitor, data, live.recall() + live["income"].missing() >= 0)

    assert both.n == data["rejected"].sum()


def test_expressions_of_bound_rows_keep_their_rows(monitor: wakeful.Monitor, traffic: Any):
    live = monitor.on(traffic())

    combined = 1 - (live.precision() + live.recall()) / 2

    assert isinstance(combined, Expression)
    assert combined <= 0.9
    assert not combined <= 0.01
