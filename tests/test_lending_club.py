"""Real loans in the order of time: a model of 2007–2009 meets 2010, then three incidents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.loading import load_monitor

NOT_FOR_THE_MODEL = ["id", "issue_d", "defaulted", "outcome_known_date", "score"]
LENDERS_OWN_SCORE = ["int_rate", "grade"]

INCIDENTS: dict[str, tuple[str, Callable[[pd.Series], pd.Series]]] = {
    "incomes in cents": ("annual_inc", lambda income: 100 * income),
    "dti is lost": ("dti", lambda dti: dti * float("nan")),
    "a category renamed": ("verification_status", lambda status: status.replace("Not Verified", "not verified")),
}
REAL_NEWS = {"term", "emp_length"}  # loans over 60 months from May 2010 on; applicants without employment


class Lender:
    """A model, its monitor, and the loans of 2010."""

    def __init__(self, loans: pd.DataFrame, folder: Path) -> None:
        loans = loans.drop(columns=LENDERS_OWN_SCORE)
        loans["earliest_cr_line"] = loans["issue_d"].dt.year - loans["earliest_cr_line"].dt.year
        texts = loans.select_dtypes(["category", "object"]).columns
        loans = loans.astype(dict.fromkeys(texts, "object"))
        past = loans[loans["issue_d"].dt.year <= 2009].sample(frac=1, random_state=0)
        self.later = loans[loans["issue_d"].dt.year == 2010]
        self.folder = folder
        training, self.reference = past.iloc[::2], past.iloc[1::2].sort_values("issue_d")
        self.codes = {name: {text: at for at, text in enumerate(sorted(training[name].unique()))} for name in texts}
        self.model = HistGradientBoostingClassifier(
            categorical_features=list(texts), learning_rate=0.1, max_iter=40, max_depth=3, random_state=0
        )
        with threadpool_limits(1):
            self.model.fit(self.inputs(training), training["defaulted"])
        self.scored(self.reference).to_parquet(folder / "reference.parquet", index=False)

    def inputs(self, loans: pd.DataFrame) -> pd.DataFrame:
        features = loans.drop(columns=NOT_FOR_THE_MODEL, errors="ignore")
        codes = {name: features[name].map(known) for name, known in self.codes.items()}  # what is unknown is missing
        return features.assign(**codes).astype(float)

    def scored(self, loans: pd.DataFrame) -> pd.DataFrame:
        with threadpool_limits(1):  # threads that wait for each other cost more than they bring
            return loans.assign(score=self.model.predict_proba(self.inputs(loans))[:, 1])

    def command(self, *arguments: str) -> int:
        return CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code

    @cached_property
    def monitor(self) -> wakeful.Monitor:
        return load_monitor(self.folder / "monitor_loans.py")

    def report(self, loans: pd.DataFrame) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of `wakeful test`."""
        self.scored(loans).to_parquet(self.folder / "live.parquet", index=False)
        code = self.command(
            "test", str(self.folder / "monitor_loans.py"), str(self.folder / "live.parquet"),
            "--json", str(self.folder / "report.json"),
        )  # fmt: skip
        return code, json.loads((self.folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lender(shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Lender:
    lender = Lender(pd.read_parquet(shared_data("lending_club.parquet")), tmp_path_factory.mktemp("lender"))
    code = lender.command(
        "init", str(lender.folder / "reference.parquet"), "--score", "score", "--label", "defaulted",
        "--threshold", "0.2", "--time", "issue_d", "--id", "id", "--kind", "outcome_known_date=ignore",
        "--name", "loans", "--out", str(lender.folder),
    )  # fmt: skip
    assert code == 0
    return lender


def failing(report: dict[str, Any], severity: str) -> set[str | None]:
    return {one["column"] for one in report["verdicts"] if one["verdict"] == "fail" and one["severity"] == severity}


def months(loans: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, month in loans.groupby(loans["issue_d"].dt.month):
        yield month


def test_the_reference_is_learnt_from_the_years_before(lender: Lender):
    reference = lender.monitor.reference

    assert reference.rows == len(lender.reference)
    assert reference.windows is not None
    assert reference.windows.unit == "quarter"
    assert not {*LENDERS_OWN_SCORE, "id", "issue_d", "outcome_known_date"} & {
        column.source for column in reference.model.columns
    }


def test_the_model_holds_up_in_the_next_year_and_what_is_new_becomes_a_ticket(lender: Lender):
    assert set(lender.reference["term"]) == {36}
    assert set(lender.later["term"]) == {36, 60}

    code, report = lender.report(lender.later)

    assert code == 1
    assert failing(report, "page") == set()
    assert failing(report, "ticket") == REAL_NEWS
    told = {cause["column"]: cause["text"] for cause in report["explanation"]}
    assert told["term"] == "term: 27% above 36, the only value seen in training"
    assert told["emp_length"].startswith("emp_length: 2.8% unseen in training")


def test_no_month_of_the_next_year_wakes_anybody(lender: Lender):
    for month in months(lender.later):
        report = lender.monitor.test(lender.scored(month))
        assert [one.judgement.message for one in report.failed if one.severity == "page"] == []


def broken(loans: pd.DataFrame, incident: str) -> pd.DataFrame:
    column, change = INCIDENTS[incident]
    return loans.assign(**{column: change(loans[column])})


@pytest.mark.parametrize("incident", INCIDENTS)
def test_an_incident_is_a_ticket_that_names_the_culprit_first(lender: Lender, incident: str):
    culprit, _ = INCIDENTS[incident]

    code, report = lender.report(broken(lender.later, incident))

    assert code == 1
    assert failing(report, "ticket") == {culprit} | REAL_NEWS
    assert (report["explanation"][0]["column"], report["explanation"][0]["kind"]) == (culprit, "fault")


@pytest.mark.parametrize("incident", INCIDENTS)
def test_the_culprit_comes_first_in_every_single_month(lender: Lender, incident: str):
    culprit, _ = INCIDENTS[incident]

    for month in months(lender.later):
        report = lender.monitor.test(lender.scored(broken(month, incident)))
        assert report.explanation[0].column == culprit
        assert culprit in {one.judgement.column for one in report.failed if one.severity == "ticket"}


def test_what_went_wrong_is_told_in_words(lender: Lender):
    reports = {incident: lender.report(broken(lender.later, incident))[1] for incident in INCIDENTS}
    told = {incident: report["explanation"][0]["text"] for incident, report in reports.items()}

    assert told["incomes in cents"].startswith("annual_inc: 9")
    assert "% above the range seen in training (" in told["incomes in cents"]
    assert told["dti is lost"] == "dti: 100% missing (0% in training)"
    renamed = "verification_status: 48% unseen in training; no longer seen: Not Verified (69%) of training"
    assert told["a category renamed"] == renamed
