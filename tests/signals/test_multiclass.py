"""Several classes on counts against scikit-learn on rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import wakeful

Value = Callable[..., float]
NAMES = {"texts": ["cat", "dog", "Größe 'x'", "other"], "numbers": [0, 1, 7, -3]}


def rows(kind: str, n: int, seed: int, classes: int = 4, right: float = 0.6) -> tuple[list[Any], list[Any]]:
    """True and predicted classes."""
    rng = np.random.default_rng(seed)
    names = NAMES[kind][:classes]
    true = rng.choice(len(names), n, p=rng.dirichlet(np.ones(len(names)) * 2))
    predicted = np.where(rng.random(n) < right, true, rng.choice(len(names), n))
    return [names[one] for one in true], [names[one] for one in predicted]


@cache
def reference(kind: str) -> wakeful.Reference:
    true, predicted = rows(kind, 3000, 1)
    held = np.random.default_rng(2).random(3000) < 0.5
    data = {"predicted": predicted, "true": true, "owner": held.tolist()}
    return wakeful.learn(data, score="predicted", label="true", segments=["owner"])


kinds = pytest.mark.parametrize("kind", NAMES)
_cases = {"n": st.sampled_from([2, 5, 40, 2000]), "seed": st.integers(0, 10**6), "classes": st.integers(1, 4)}


@kinds
def test_every_share_is_scikit_learn_s(kind: str, value: Value):
    @given(**_cases, right=st.sampled_from([0.0, 0.6, 1.0]))
    @settings(max_examples=50)
    def check(n: int, seed: int, classes: int, right: float) -> None:
        true, predicted = rows(kind, n, seed, classes, right)
        data = {"true": true, "predicted": predicted}
        assert value(reference(kind), data, "accuracy") == pytest.approx(metrics.accuracy_score(true, predicted))
        labels = sorted({*true, *predicted}, key=str)
        alone = metrics.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=np.nan)
        for name, exact in zip(("precision", "recall", "f1"), alone[:3], strict=True):
            # Macro: a class without rows to judge counts 0.
            assert value(reference(kind), data, name) == pytest.approx(np.nan_to_num(exact).mean()), name
            for label, one in zip(labels, exact, strict=True):
                found = value(reference(kind), data, name, label=label)
                assert found == pytest.approx(one, nan_ok=True), (name, label)

    check()


@kinds
def test_macro_is_scikit_learn_s(kind: str, value: Value):
    true, predicted = rows(kind, 700, 2)
    missed = [NAMES[kind][0] if one == NAMES[kind][1] else one for one in predicted]  # a class never predicted
    for answer in (predicted, missed):
        data = {"true": true, "predicted": answer}
        for name in ("precision", "recall", "f1"):
            exact = getattr(metrics, f"{name}_score")(true, answer, average="macro", zero_division=0)
            assert value(reference(kind), data, name) == pytest.approx(exact), name


@kinds
def test_confusion_is_scikit_learn_s_normalised_by_the_true_class(kind: str, value: Value):
    true, predicted = rows(kind, 1500, 3)
    matrix = metrics.confusion_matrix(true, predicted, labels=NAMES[kind], normalize="true")
    data = {"true": true, "predicted": predicted}
    for i, a in enumerate(NAMES[kind]):
        for j, b in enumerate(NAMES[kind]):
            assert value(reference(kind), data, "confusion", true=a, predicted=b) == pytest.approx(matrix[i, j])


@kinds
def test_rows_without_a_label_say_nothing_of_quality(kind: str, value: Value):
    true, predicted = rows(kind, 600, 4)
    shown = [one if at % 3 else None for at, one in enumerate(true)]
    known = [at for at, one in enumerate(shown) if one is not None]
    exact = metrics.recall_score([true[at] for at in known], [predicted[at] for at in known], average="macro")
    assert value(reference(kind), {"true": shown, "predicted": predicted}, "recall") == pytest.approx(exact)
    assert math.isnan(value(reference(kind), {"true": [None] * 600, "predicted": predicted}, "recall"))
    assert math.isnan(value(reference(kind), {"predicted": predicted}, "accuracy"))


def test_whole_numbers_that_pandas_made_floats_are_the_same_classes(value: Value):
    true, predicted = rows("numbers", 600, 5)
    gaps = [float(one) if at % 4 else math.nan for at, one in enumerate(true)]
    known = [at for at in range(600) if at % 4]
    exact = metrics.accuracy_score([true[at] for at in known], [predicted[at] for at in known])
    data = {"true": np.array(gaps), "predicted": np.array(predicted, dtype=float)}
    assert value(reference("numbers"), data, "accuracy") == pytest.approx(exact)


def test_a_class_that_training_did_not_show_counts_as_wrong(value: Value):
    data = {"true": ["cat", "dog", "horse", "horse"], "predicted": ["cat", "dog", "dog", "horse"]}
    assert value(reference("texts"), data, "recall", label="cat") == 1
    assert value(reference("texts"), data, "precision", label="dog") == 0.5
    assert value(reference("texts"), data, "accuracy") == 2 / 4
    apart = {"true": ["cat", "horse"], "predicted": ["cat", "cow"]}  # two names that training did not show
    assert value(reference("texts"), apart, "accuracy") == 1 / 2


def test_segments_are_judged_by_their_own_rows(value: Value):
    true, predicted = rows("texts", 900, 6)
    owner = np.arange(900) % 3 == 0
    data = {"true": true, "predicted": predicted, "owner": owner.tolist()}
    for name, chosen in (("True", owner), ("False", ~owner)):
        a, b = ([one for one, kept in zip(side, chosen, strict=True) if kept] for side in (true, predicted))
        exact = metrics.f1_score(a, b, average="macro")
        assert value(reference("texts"), data, "f1", part=("owner", name)) == pytest.approx(exact)


def test_distances_of_the_answer_are_those_of_its_classes(value: Value):
    _, predicted = rows("texts", 2000, 7)
    p, q = (
        np.array([one.count(name) for name in NAMES["texts"]]) / len(one)
        for one in (rows("texts", 3000, 1)[1], predicted)
    )
    assert value(reference("texts"), {"predicted": predicted}, "d1", "predicted") == pytest.approx(np.abs(p - q).sum())


def test_an_unknown_class_is_refused_with_near_misses(value: Value):
    for name in ("precision", "recall", "f1"):
        with pytest.raises(wakeful.UnknownName, match="Did you mean 'cat'"):
            value(reference("texts"), None, name, label="cats")
    with pytest.raises(wakeful.UnknownName, match="class"):
        value(reference("texts"), None, "confusion", true="cat", predicted="lion")


def test_a_model_without_a_label_has_no_quality(value: Value):
    blind = wakeful.learn({"predicted": rows("texts", 100, 8)[0]}, score="predicted")
    with pytest.raises(wakeful.SignalError, match="without a label"):
        value(blind, None, "accuracy")
