"""A service that profiles every row with whylogs: each by itself, or by its rolling logger."""

import tempfile

import whylogs
from paced import pace


def work(rate, seconds, mode):
    if mode == "row":
        return pace(lambda features, number: whylogs.log(row=features), float(rate), float(seconds))
    with tempfile.TemporaryDirectory() as folder:
        logger = whylogs.logger(mode="rolling", interval=5, when="M", base_name="rows")
        logger.append_writer("local", base_dir=folder)
        took = pace(lambda features, number: logger.log(row=features), float(rate), float(seconds))
        logger.close()
    return took
