"""What is asserted, in plain words: titles for a reader who knows the service and no statistics."""

from __future__ import annotations

from typing import NamedTuple

from wakeful.expression import Leaf, Node, Op, describe, leaves_of

__all__ = ["SHARE", "Meaning", "is_share", "meaning_of"]

SHARE = "percentunit"  # Grafana's unit of numbers from 0 to 1
_NUMBER = "short"


class Meaning(NamedTuple):
    """What a value says and in which of Grafana's units."""

    words: str
    unit: str


_SHARES = {
    "accuracy": "Answers that were right",
    "confusion": "Cases of one class taken for another",
    "duplicates": "Rows that came twice",
    "expected_accuracy": "Answers that will turn out right, as scores promise",
    "expected_precision": "Flagged cases that will turn out right, as scores promise",
    "expected_recall": "Cases that will turn out found, as scores promise",
    "f1": "Right and found, in one number",
    "fault": "Rows hit by the worst fault",
    "flagged_share": "Cases that are flagged",
    "holdout_share": "Flagged cases that are held out",
    "invalid": "Values of the wrong type",
    "label_noise": "Outcomes that look turned round",
    "missing": "Values that are missing",
    "off_grid": "Numbers with more decimals than in training",
    "out_of_range": "Numbers beyond the range of training",
    "precision": "Flagged cases that were right",
    "recall": "Cases that were found",
    "share": "Rows with one value",
    "specificity": "Harmless cases left alone",
    "spike": "Rows with one value that suddenly is everywhere",
    "total_variation": "Rows that moved since training",
    "unseen": "Values that training never showed",
    "vanished": "Values that no longer occur",
}
_NUMBERS = {
    "average_precision": "How well the score finds cases",
    "bias": "How far answers lean to one side",
    "brier_score": "How far scores are from outcomes",
    "calibration_error": "How far scores are from the share of cases",
    "calibration_slope": "How much the score still tells (1: all it did, 0: nothing)",
    "d1": "How far values moved since training (0: not at all, 2: all)",
    "expected_mean_absolute_error": "Typical error to come, as predictions promise",
    "expected_roc_auc": "How well the score will rank cases, as scores promise",
    "expected_root_mean_squared_error": "Error to come, large ones weighing more",
    "holdout_d1": "How far the holdout is from the other flagged cases",
    "jensen_shannon": "How far values moved since training, in bits",
    "ks": "Largest gap to training",
    "linf": "Largest change of a single value's share",
    "log_loss": "How surprising outcomes were",
    "mean": "Mean",
    "mean_absolute_error": "Typical error",
    "observed_to_expected": "Cases over those that scores promised (1: as many)",
    "psi": "How far values moved since training (PSI)",
    "quantile": "Value below which a share of rows lies",
    "r2": "Part of the differences that is explained (1: all)",
    "roc_auc": "How well the score ranks cases (1: always, 0.5: a coin)",
    "root_mean_squared_error": "Error, large ones weighing more",
    "std": "Spread",
    "traffic": "Answers in the window",
    "value": "What an answer is worth",
    "wasserstein": "How far numbers moved since training",
}
_WORDS = _SHARES | _NUMBERS


def meaning_of(node: Node, score: str) -> Meaning:
    """What the live side of a comparison says; signals and arithmetic of one's own keep their names.

    Args:
        node: the live side.
        score: name of the column that holds the answers.
    """
    unit, name = SHARE if is_share(node) else _NUMBER, describe(node)
    if not isinstance(node, Leaf):
        return Meaning(name, unit)
    words = _WORDS.get(node.signal.name, "") if not node.ago else ""
    if node.against:
        words = words.replace("since training", f"within {node.against}")
    told = f"{words} – {name}" if words else name
    if node.columns is None or len(node.columns) > 1:
        return Meaning(told, unit)
    column = "Answers" if node.columns == (score,) else node.columns[0]
    return Meaning(f"{column}: {told[0].lower()}{told[1:]}", unit)


def is_share(node: Node) -> bool:
    """Whether a value is a share of rows, as are sums and differences of shares."""
    names = {leaf.signal.name for leaf in leaves_of(node)}
    return names <= set(_SHARES) and not any(op in ("*", "/") for op in _operations(node))


def _operations(node: Node) -> list[str]:
    if not isinstance(node, Op):
        return []
    return [node.symbol, *(one for part in node.operands for one in _operations(part))]
