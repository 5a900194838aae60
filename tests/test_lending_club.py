"""Real loans in the order of time: a model of 2007–2009 meets 2010, then three incidents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.loading import load_monitor
from wakeful.replay import replay

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
        self.every = loans
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
    def threes(self) -> pd.DataFrame:
        """The reference's loans and those of 2010 over 36 months."""
        return pd.concat([self.reference, self.later[self.later["term"] == 36]]).sort_values("issue_d")

    @cached_property
    def told(self) -> pd.DataFrame:
        """What became of them."""
        return told_later(self, self.threes)[1]

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


# Outcomes that come years later, joined by a replay.


@wakeful.signal(of="binary")
def default_rate(live: Any) -> wakeful.Share:
    """Share of defaults; what is known stands for all loans of its decision."""
    return wakeful.Share(live.positive.sum(), live.weighted[..., 0].sum(), live.n)


@pytest.fixture(scope="module")
def watched(lender: Lender) -> wakeful.Monitor:
    monitor = wakeful.Monitor(lender.monitor.reference)

    @monitor.check(window="90d", page="credit")
    def flagged_are_right(live):
        assert live.precision() >= 0.2

    @monitor.check(window="90d", ticket="ml")
    def outcomes_arrive(live):
        assert live.outcomes_arrived() >= 0.9

    @monitor.check(window="365d")
    def few_default(live):
        assert default_rate(live) <= 0.5

    return monitor


Tables = tuple[pd.DataFrame, pd.DataFrame]


def told_later(lender: Lender, loans: pd.DataFrame) -> Tables:
    """What was asked with the score that it got, and what became of it, in two tables."""
    told = loans[["id", "defaulted", "outcome_known_date"]].rename(columns={"outcome_known_date": "at"})
    return lender.scored(loans).drop(columns=["defaulted", "outcome_known_date"]), told


def test_as_of_every_half_year_the_interval_holds_the_final_truth(lender: Lender, watched: wakeful.Monitor):
    asked, told = told_later(lender, lender.every)
    year = lender.every["issue_d"].dt.year
    truth = lender.every.groupby(year)["defaulted"].mean()
    inside, errors, naive = [], [], []
    at_the_end_of_2011 = {}
    for as_of in pd.date_range("2010-12-31", "2014-12-31", freq="6ME"):
        known = told[told["at"] <= as_of]
        steps = replay(
            watched, asked[["id", "issue_d", "score"]], every="12mo", outcomes=told, horizon="2283d",
            as_of=str(as_of.date()),
        )  # fmt: skip
        for step in steps:
            cohort = int(step.window[:4])
            [one] = [one.judgement for one in step.verdicts if one.check == "few_default"]
            if as_of < pd.Timestamp(cohort, 12, 31) or one.verdict == "maturing":
                continue
            among_known = known["defaulted"][year == cohort].mean()
            inside.append(one.low <= truth[cohort] <= one.high)
            if one.maturity < 0.9:
                errors.append(abs(one.estimate - truth[cohort]))
                naive.append(abs(among_known - truth[cohort]))
            if as_of == pd.Timestamp("2011-12-31") and cohort == 2010:
                at_the_end_of_2011 = {"naive": among_known, "low": one.low, "high": one.high}

    assert truth[2010] == pytest.approx(0.140, abs=0.001)
    assert at_the_end_of_2011["naive"] == pytest.approx(0.24, abs=0.005)
    assert at_the_end_of_2011["low"] < truth[2010] < at_the_end_of_2011["high"] < 0.2
    assert np.mean(inside) >= 0.95 and len(inside) >= 25
    assert np.median(errors) < np.median(naive) / 4


def since_july(loans: pd.DataFrame) -> pd.Series:
    return loans["issue_d"] >= "2010-07"


def other_ids(asked: pd.DataFrame, told: pd.DataFrame) -> Tables:
    gone = told["id"].isin(asked["id"][since_july(asked)])
    return asked, told.assign(id=told["id"].astype(str).where(~gone, "LC-" + told["id"].astype(str)))


def no_defaults(asked: pd.DataFrame, told: pd.DataFrame) -> Tables:
    gone = told["id"].isin(asked["id"][since_july(asked)]) & (told["defaulted"] == 1)
    return asked, told[~gone]


def cut_off(asked: pd.DataFrame, told: pd.DataFrame) -> Tables:
    return asked, told[told["at"] < "2012-07-01"]


@pytest.mark.parametrize(
    ("breaks", "failing", "words"),
    [
        (other_ids, "outcomes_arrive", "the join rate fell from 99% to 0% of the predictions since 2010-07-01"),
        (no_defaults, "flagged_are_right", "outcomes are lost: positive ones, without any more negative ones in their "
         "place, fell from 14% to 0% of the predictions since 2010-07-01"),
        (cut_off, "outcomes_arrive", "the join is broken, or outcomes are lost: the join rate fell from 98%"),
    ],
)  # fmt: skip
def test_a_broken_join_is_said_to_be_one(
    lender: Lender, watched: wakeful.Monitor, breaks: Callable[..., Tables], failing: str, words: str
):
    asked, told = breaks(*told_later(lender, lender.threes))
    options = {"outcomes": told, "horizon": "1200d", "as_of": "2014-12-31"}

    steps = list(replay(watched, asked, every="1mo", **options))

    first = next(step for step in steps if any(one.verdict == "fail" for one in step.verdicts))
    assert {one.check for one in first.verdicts if one.verdict == "fail"} == {failing}
    cause = first.explanation[0]
    assert (cause.column, cause.kind) == ("defaulted", "fault")
    assert words in cause.text
    healthy = replay(watched, told_later(lender, lender.threes)[0], every="1mo", **options | {"outcomes": lender.told})
    assert not [one for step in healthy for one in step.verdicts if one.verdict == "fail"]


def test_a_broken_model_is_explained_by_its_columns(lender: Lender, watched: wakeful.Monitor):
    broken = lender.threes.copy()
    numbers = [
        name for name in broken.select_dtypes("number").columns if name not in ("id", "term", *NOT_FOR_THE_MODEL)
    ]
    broken[numbers] = broken[numbers].astype(float).where(~since_july(broken), 100 * broken[numbers], axis=0)
    asked, _ = told_later(lender, broken)

    steps = replay(watched, asked, every="1mo", outcomes=lender.told, horizon="1200d")

    failing = [step for step in steps if any(one.verdict == "fail" for one in step.verdicts)]
    assert {one.check for step in failing for one in step.verdicts if one.verdict == "fail"} == {"flagged_are_right"}
    for step in failing:
        assert {one.column for one in step.explanation[:3]} <= set(numbers), step.explanation[0].text
