"""Hand-written: d1 > 0.1 on any column."""

from rules import Rule, d1


class Tool(Rule):
    def __init__(self) -> None:
        super().__init__(d1, 0.1, "d1")
