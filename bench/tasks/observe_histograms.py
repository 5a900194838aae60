"""A service with a histogram of prometheus_client for each feature: default buckets, in memory.

What is no number is not charged: in the place of each category, a number is observed once more.
"""

from paced import CATEGORIES, NUMBERS, pace
from prometheus_client import Histogram

FEATURES = NUMBERS + CATEGORIES


def work(rate, seconds, labelled=""):
    histograms = {name: Histogram(name, "a feature", ["model"] if labelled else ()) for name in FEATURES}
    watched = [(name, one.labels("loans") if labelled else one) for name, one in histograms.items()]
    watched = [(name if name in NUMBERS else NUMBERS[at % 5], one) for at, (name, one) in enumerate(watched)]

    def observe(features, number):
        for name, histogram in watched:
            histogram.observe(features[name])

    return pace(observe, float(rate), float(seconds))
