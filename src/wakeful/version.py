"""The release, for whoever tells it."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
