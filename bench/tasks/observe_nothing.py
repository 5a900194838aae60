"""A service that is not watched."""

from paced import pace


def work(rate, seconds):
    return pace(lambda features, number: None, float(rate), float(seconds))
