"""All files that a monitor compiles to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wakeful.compile import stack
from wakeful.compile.alertmanager import alertmanager
from wakeful.compile.alerts import Links
from wakeful.compile.grafana import dashboards
from wakeful.compile.kubernetes import MOST_BYTES, objects, too_large
from wakeful.compile.plan import Refusal
from wakeful.compile.promtool import rules_tests
from wakeful.compile.quoting import valid
from wakeful.compile.rules import Compiled, group, interval
from wakeful.compile.tracing import plan_of
from wakeful.compile.yaml_files import as_yaml
from wakeful.errors import DataError
from wakeful.monitor import Monitor

__all__ = ["Links", "Options", "Output", "compile_monitors"]

RULES = "rules.yml"
_MADE = "Written by wakeful compile; the next run writes it anew."
_RECEIVERS = (
    f"{_MADE}\n\nReceivers have nothing to notify yet. Compile with --webhook URL; or copy routes, inhibitions and\n"
    "receivers into a configuration of your own, and give each a webhook_configs, email_configs, slack_configs, …"
)
_OWN = re.compile(rf"# {re.escape(_MADE)}|.*\"uid\": \"wakeful", re.DOTALL)  # how files begin, or boards are called


class Options(NamedTuple):
    """What may be said about the output.

    Attributes:
        links: that alerts carry.
        webhook: where Alertmanager sends notifications; ``{owner}`` is filled in.
        targets: host and port of the services that Prometheus is to scrape; port 8000 of this machine without any.
        kubernetes: whether objects of the Prometheus operator are wanted.
    """

    links: Links = Links()
    webhook: str = ""
    targets: tuple[str, ...] = ()
    kubernetes: bool = False


_DEFAULT = Options()


class Output(NamedTuple):
    """What was compiled.

    Attributes:
        files: text by path.
        refusals: what PromQL cannot express, in the order of the checks.
        untried: models and checks whose alert has no test that sets it off.
        too_large: bytes of the rules that the Prometheus operator would skip, by model; where its objects are wanted.
    """

    files: dict[str, str]
    refusals: list[Refusal]
    untried: list[tuple[str, str]]
    too_large: dict[str, int]

    @property
    def lacks(self) -> bool:
        """Whether a part of a check that pages or files a ticket is left out, or would not get where it is read."""
        return bool(self.too_large) or any(one.check.severity != "explain" for one in self.refusals)

    def write(self, folder: Path) -> list[Path]:
        """Write every file, and return their paths.

        Raises:
            DataError: one would replace what somebody else wrote, or the folder cannot be written to.
        """
        paths = [folder / name for name in self.files]
        for path in paths:
            if path.is_file() and not _OWN.match(path.read_text(encoding="utf-8", errors="replace")):
                raise DataError(
                    f"{path} is there, and is none of wakeful compile. Remove it, or write to another folder."
                )
        for path, text in zip(paths, self.files.values(), strict=True):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
            except OSError as error:
                raise DataError(
                    f"{path} cannot be written: {error.strerror}. Name a folder that is there, or can be made."
                ) from error
        return paths

    def lines(self) -> Iterator[str]:
        """What is left out, in words."""
        told = dict.fromkeys((one.check, one.assertion.line, one.assertion.source, one.reason, one.instead)
                             for one in self.refusals)  # fmt: skip
        for check, line, source, reason, instead in told:
            yield f"{check.file}:{line}: left out of {check.name} ({check.severity}): {source}"
            yield f"  {reason}"
            if instead:
                yield f"  nearest: {instead}"
        for model, name in self.untried:
            yield f"{model}: {name}: no counts were found that make it fail, so no test sets its alert off"
        for model, size in self.too_large.items():
            yield f"kubernetes.yml: the Prometheus operator skips the rules of {model}: {size // 1024:,} KiB"
            yield f"  it takes {MOST_BYTES // 1024:,} KiB of a PrometheusRule; its log and events tell of more"
            yield "  nearest: fewer checks on recall, accuracy or f1; or rules.yml in a Prometheus without the operator"


def compile_monitors(monitors: Sequence[Monitor], options: Options = _DEFAULT) -> Output:
    """Everything that Prometheus, Alertmanager and Grafana read; same monitors, same bytes.

    Args:
        monitors: of different models.
        options: of the output.

    Raises:
        DataError: there is no monitor, or two watch models of one name; a monitor has no checks; a link cannot be
            filled in; a target or the webhook is no address.
        CheckError: a check cannot be understood.
        MissingExtra: what writes the files is not installed.
    """
    for one in monitors:
        if not one.checks:
            name = one.reference.model.name
            raise DataError(f"the monitor of {name!r} has no checks to compile. Register one with @monitor.check().")
    compiled = [Compiled(one, plan_of(one)) for one in monitors]
    boards = dashboards(compiled)
    groups = {one.name: group(one, options.links) for one in compiled}
    tests = rules_tests(compiled, RULES)
    evaluated = min(interval(one.monitor.checks) for one in compiled)
    scraped = stack.scraping(evaluated)
    targets = [stack.reached(one) for one in options.targets] or [stack.LOCAL_TARGET]
    files = {
        RULES: as_yaml({"groups": list(groups.values())}, about=_MADE),
        "rules_test.yml": as_yaml(tests.document, about=f"{_MADE}\nRun: promtool test rules rules_test.yml"),
        "alertmanager.yml": as_yaml(
            alertmanager(compiled, options.webhook), about=_MADE if options.webhook else _RECEIVERS
        ),
        "prometheus.yml": as_yaml(stack.prometheus(targets, RULES, scraped), about=_MADE),
        "compose.yml": as_yaml(stack.compose(RULES), about=f"{_MADE}\nRun: docker compose up"),
        "grafana/provisioning/datasources/prometheus.yml": as_yaml(stack.datasources(), about=_MADE),
        "grafana/provisioning/dashboards/wakeful.yml": as_yaml(stack.providers(), about=_MADE),
    }
    files |= {f"{stack.DASHBOARDS}/{name}": valid(text) for name, text in boards.items()}
    if options.kubernetes:
        files["kubernetes.yml"] = as_yaml(*objects(groups, scraped), about=_MADE)
    refusals = [refusal for one in compiled for refusal in one.plan.refusals]
    return Output(files, refusals, tests.untried, too_large(groups) if options.kubernetes else {})
