"""A service with a histogram of prometheus_client for each feature: default buckets, in memory.

What is no number is not charged: in the place of each category, a number is observed once more. With a label, its
child is kept ("kept") or asked for at each observation, as prometheus_client's documentation does ("asked").
"""

from paced import CATEGORIES, NUMBERS, pace
from prometheus_client import Histogram

FEATURES = NUMBERS + CATEGORIES


def work(rate, seconds, labelled=""):
    histograms = {name: Histogram(name, "a feature", ["model"] if labelled else ()) for name in FEATURES}
    watched = [(name, one.labels("loans") if labelled else one) for name, one in histograms.items()]
    watched = [(name if name in NUMBERS else NUMBERS[at % 5], one) for at, (name, one) in enumerate(watched)]

    asked = [(name, histograms[own]) for (name, _), own in zip(watched, FEATURES)]  # noqa: B905  # as in paced

    def observe(features, number):
        for name, histogram in watched:
            histogram.observe(features[name])

    def observe_asked(features, number):
        for name, histogram in asked:
            histogram.labels("loans").observe(features[name])

    if labelled == "asked":
        return pace(observe_asked, float(rate), float(seconds))
    return pace(observe, float(rate), float(seconds))
