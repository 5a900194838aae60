"""What tests/compile/test_golden.py compiles."""

import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(window="24h", page="credit-risk", fear="We turn away good customers", action="Stop acting on the score")
def answers_keep_their_shape(live):
    assert live.score.d1() <= 0.2


@loans.check(window="1h", ticket="ml-team", fear="The model decides on broken data")
def inputs_are_whole(live):
    assert live.features.missing() <= live.reference.features.missing() + 0.05
    assert live.features.spike() <= 0.1  # which PromQL cannot say


@loans.check(window="6h")
def rents_are_as_last_week(live):
    assert live["rent"].mean() <= 1.2 * live.ago("7d")["rent"].mean()
