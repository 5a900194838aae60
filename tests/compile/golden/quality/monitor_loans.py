"""What tests/compile/test_golden.py compiles of objectives of quality."""

import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(window="30d", page="credit-risk", fear="We turn away good customers", action="Stop acting on the score")
def rejections_are_right(live):
    assert live.precision() >= 0.95
