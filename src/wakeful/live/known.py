"""Outcomes that a service reports with what was answered: counted at once, without any join."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wakeful.counting import Derivation, count_known
from wakeful.counts import Counts, Layout
from wakeful.live.holdout import Holdout
from wakeful.live.observations import Observation, Reported, batch_of

__all__ = ["beside_answers", "change_of", "known_at_once"]


def beside_answers(some: Sequence[Reported]) -> list[Reported]:
    """Outcomes that are said with anything that was answered, so that they can be counted."""
    return [one for one in some if one[3] is not None or one[4] is not None or one[5] is not None]


def change_of(
    layout: Layout,
    some: Sequence[Reported],
    holdout: Holdout,
    derived: Mapping[str, Derivation],
    pause: Callable[[], None],
) -> Counts:
    """What outcomes change in the counts, all of them said with their answers.

    Without features nobody knows of which segments a row is: such outcomes change all traffic alone.
    """
    change = Counts.zero(layout)
    for has_features in (True, False):
        told: list[Observation] = [
            (features or {}, score, id, decision, None, label)  # as it was observed, but nobody knows when
            for id, label, _, score, decision, features in some
            if (features is not None) == has_features
        ]
        if told:
            batch = batch_of(layout, told, holdout, pause)
            change += count_known(layout, batch, derived, by_segment=has_features)
    return change


def known_at_once(some: Sequence[Observation]) -> list[tuple[Any, Any, Any]]:
    """Id, label and time of outcomes that were said with the answer: a join of the log has to find them."""
    return [(id, label, at) for _, _, id, _, at, label in some if label is not None and id is not None]
