"""Hand-written: PSI > 0.2 on any column."""

from rules import Rule, psi


class Tool(Rule):
    def __init__(self) -> None:
        super().__init__(psi, 0.2, "PSI")
