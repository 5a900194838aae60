"""Engines: a history of rows -> counts per tile of time, wherever the rows lie."""
