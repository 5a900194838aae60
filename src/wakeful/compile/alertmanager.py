"""Whom Alertmanager tells: routes by owner and severity; explanations are told to nobody."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wakeful.compile.about import owner_of
from wakeful.compile.alerts import BURNS, CHECK_FAILS, ELEMENT, filled
from wakeful.compile.health import BLIND, WATCHDOG, losses_owner
from wakeful.compile.quoting import matcher, valid
from wakeful.compile.rules import Compiled
from wakeful.errors import DataError

__all__ = ["alertmanager"]

# How often somebody is told again of what still fires; Alertmanager itself forgets after five days whom it told.
_REPEATED = {"page": "4h", "ticket": "5d"}
_BEAT = "5m"  # how often the watchdog is heard, if it may be repeated a little sooner: with as much, every other time
_LESS_THAN_A_BEAT = "4m"


def alertmanager(monitors: Sequence[Compiled], webhook: str = "") -> dict[str, Any]:
    """The configuration of Alertmanager.

    Args:
        monitors: whose alerts it is to route.
        webhook: where notifications go; ``{owner}`` is filled in. Without it, receivers are left to be filled.

    Raises:
        DataError: the webhook is no address.
    """
    if webhook and not re.match(r"https?://[^/]", webhook):
        raise DataError(f"{webhook!r} is no address of a webhook, such as https://hooks.example/{{owner}}.")
    told = sorted({one for compiled in monitors for one in _told(compiled)})
    owners = sorted({owner for owner, _ in told})
    nobody, watchdog, rest = (_unlike(owners, name) for name in ("nobody", "watchdog", "anybody"))
    routes: list[dict[str, Any]] = [
        {"receiver": nobody, "matchers": [matcher("severity", "explain")]},
        {
            "receiver": watchdog,
            "matchers": [matcher("alertname", WATCHDOG)],
            "group_by": ["model"],
            "group_interval": _BEAT,
            "repeat_interval": _LESS_THAN_A_BEAT,
        },
    ]
    for owner, severity in told:
        matchers = [matcher("owner", owner), matcher("severity", severity)]
        routes.append({"receiver": owner, "matchers": matchers, "repeat_interval": _REPEATED[severity]})
    return {
        "route": {
            "receiver": rest,
            "group_by": ["model", "check"],
            "group_wait": "30s",
            "group_interval": "5m",
            "routes": routes,
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": nobody},
            *(_receiver(name, webhook) for name in (rest, watchdog, *owners)),
        ],
    }


def _told(compiled: Compiled) -> set[tuple[str, str]]:
    """Who is told, and how gravely: by the checks, and of tickets about what the monitor itself has lost."""
    alarming = [check for check in compiled.monitor.checks if check.severity != "explain"]
    found = {(owner_of(check), str(check.severity)) for check in alarming}
    found |= {(losses_owner(compiled.monitor), "ticket")} - {("", "ticket")}
    return {(valid(owner), severity) for owner, severity in found}


def _unlike(owners: Sequence[str], name: str) -> str:
    """A name of our own that is no owner's."""
    while name in owners:
        name += "_"
    return name


def _inhibitions() -> list[dict[str, Any]]:
    blind, judged = (f'alertname=~"{"|".join(names)}"' for names in (BLIND, (CHECK_FAILS, BURNS)))
    return [
        # a model that is broken enough to wake somebody needs no tickets as well
        {
            "source_matchers": [judged, matcher("severity", "page")],
            "target_matchers": [matcher("severity", "ticket")],
            "equal": ["model"],
        },
        # what cannot be seen cannot be judged
        {"source_matchers": [blind], "target_matchers": [judged], "equal": ["model"]},
        # what fails over its own window is known
        {
            "source_matchers": [matcher("alertname", CHECK_FAILS)],
            "target_matchers": [matcher("alertname", BURNS)],
            "equal": list(ELEMENT),
        },
    ]


def _receiver(name: str, webhook: str) -> dict[str, Any]:
    if not webhook:
        return {"name": name}
    return {"name": name, "webhook_configs": [{"url": filled(webhook, owner=name), "send_resolved": True}]}
