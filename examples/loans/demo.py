"""From real mortgage applications to a failing check, in under a minute.

A model predicts which applications the lender will reject. wakeful learns what its traffic looks like,
writes a monitor file and validates the model. Then incomes arrive in cents, and a replay of ten weeks shows when
an alarm would have come. README.md describes the data.

Run it with ``make demo``, or with ``python examples/loans/demo.py FOLDER``.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import precision_score, recall_score, roc_auc_score

DATA = Path(__file__).with_name("loanapp.csv")
WAKEFUL = Path(sys.executable).with_name("wakeful")
UNKNOWN = 999_999  # the survey's code for a number that nobody knew
PROPERTIES = {1: "condominium", 2: "single-family", 3: "multi-family"}

# A flagged application gets a second look. A rejection that nobody foresaw costs as much as four
# needless looks, and then looking pays off from this probability on (Elkan 2001, section 2).
THRESHOLD = 1 / (1 + 4)


def main() -> None:
    """Tell the story; leave with an error if a step does not behave as told."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "monitor_loans.py").unlink(missing_ok=True)  # of an earlier run: init would keep it

    title("1. Train a model")
    training, reference, validation = split(applications(), parts=3)
    model = train(training)
    reference, validation = scored(reference, model), scored(validation, model)
    reference.to_parquet(folder / "reference.parquet", index=False)
    validation.to_parquet(folder / "validation.parquet", index=False)
    say(
        f"A gradient-boosted model learnt from {len(training)} real mortgage applications which ones the "
        f"lender rejects. On {len(validation)} others: {quality(validation)}."
    )

    title("2. Learn a reference, write a monitor")
    wakeful(
        folder,
        "init reference.parquet --score score --label rejected --segment property "
        f"--threshold {THRESHOLD} --name loans --out .",
        expect=0,
    )

    title("3. Validate the model before its release")
    wakeful(folder, "test monitor_loans.py validation.parquet", expect=0)

    title("4. A new version of the website sends incomes in cents")
    cents = scored(validation.assign(income=100 * validation["income"]), model)
    cents.to_parquet(folder / "cents.parquet", index=False)
    say(f"Same applicants, same model, no error anywhere: {quality(cents)}.")
    wakeful(folder, "test monitor_loans.py cents.parquet --json cents.json", expect=1)
    culprit = json.loads((folder / "cents.json").read_text())["explanation"][0]["column"]
    if culprit != "income":
        sys.exit(f"The demo failed: the first explanation should name income, and names {culprit}.")

    title("5. Would it have told us, and would it have woken us for nothing?")
    broken_days(validation, cents).to_parquet(folder / "history.parquet", index=False)
    say("Ten weeks of applications, drawn from the validated ones. In three of the days incomes came in cents.")
    wakeful(folder, "replay monitor_loans.py history.parquet --every 1d --time applied_at", expect=1)

    title("Now read, and change, the asserts")
    say(f"They are in {folder / 'monitor_loans.py'}. The data beside it can be tested again at any time.")


def broken_days(good: pd.DataFrame, bad: pd.DataFrame) -> pd.DataFrame:
    """Ten weeks of a hundred applications a day, drawn with replacement; three days are of the bad ones."""
    rng = np.random.default_rng(0)
    hours = np.sort(rng.integers(0, 24 * 70, 7_000))
    rows = rng.integers(0, len(good), len(hours))
    days = pd.Timestamp("2026-03-02") + pd.to_timedelta(hours, unit="h")
    is_bad = (days >= "2026-04-08") & (days < "2026-04-11")
    drawn = pd.concat([good.iloc[rows[~is_bad]], bad.iloc[rows[is_bad]]])
    return drawn.assign(applied_at=[*days[~is_bad], *days[is_bad]]).sort_values("applied_at", kind="stable")


def applications() -> pd.DataFrame:
    """The applications in dollars and words, with the lender's decision as ``rejected``."""
    raw = pd.read_csv(DATA)
    monthly_income = raw["atotinc"] + raw["cototinc"]
    return pd.DataFrame(
        {
            "income": (12 * monthly_income).round(),
            "loan_amount": 1_000 * raw["loanamt"],
            "price": (1_000 * raw["price"]).round(),
            "appraised_value": (1_000 * raw["apr"]).round(),
            "term": known(raw["term"]),
            "monthly_housing_cost": raw["hexp"].round(),
            "monthly_debt": (raw["obrat"] / 100 * monthly_income).round(),
            "liquid_assets": (1_000 * known(raw["liq"])).round(),
            "net_worth": (1_000 * raw["netw"]).round(),
            "credit_lines": known(raw["lines"]),
            "consumer_credit_history": raw["cons"],
            "mortgage_credit_history": raw["mortg"],
            "bankruptcy": raw["pubrec"].astype(bool),
            "gift": raw["gift"].astype(bool),
            "cosigner": raw["cosign"].astype(bool),
            "insurance_sought": raw["inss"].astype(bool),
            "industry_unemployment": raw["unem"],
            "employment": np.where(raw["self"] == 1, "self-employed", "employed"),
            "property": raw["prop"].map(PROPERTIES),
            "rejected": raw["reject"].astype(bool),
        }
    )


def known(numbers: pd.Series) -> pd.Series:
    return numbers.where(numbers < UNKNOWN)


def split(table: pd.DataFrame, parts: int) -> list[pd.DataFrame]:
    """Random parts of the same size that share no application."""
    order = np.random.default_rng(0).permutation(len(table))
    return [table.iloc[rows] for rows in np.array_split(order, parts)]


def train(table: pd.DataFrame) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", learning_rate=0.05, max_depth=3, max_iter=60, random_state=0
    )
    return model.fit(model_inputs(table), table["rejected"])


def scored(table: pd.DataFrame, model: HistGradientBoostingClassifier) -> pd.DataFrame:
    """The table with the model's answer: the probability that the lender rejects."""
    return table.assign(score=model.predict_proba(model_inputs(table))[:, 1])


def model_inputs(table: pd.DataFrame) -> pd.DataFrame:
    """What the model sees: the application, and the ratios that lenders look at."""
    return table.drop(columns=["rejected", "score"], errors="ignore").assign(
        employment=table["employment"].astype("category"),
        property=table["property"].astype("category"),
        debt_to_income=12 * table["monthly_debt"] / table["income"],
        housing_to_income=12 * table["monthly_housing_cost"] / table["income"],
        loan_to_value=table["loan_amount"] / table["appraised_value"],
    )


def quality(table: pd.DataFrame) -> str:
    rejected, flagged = table["rejected"], table["score"] >= THRESHOLD
    return (
        f"ROC AUC {roc_auc_score(rejected, table['score']):.2f}, {flagged.mean():.0%} flagged, "
        f"precision {precision_score(rejected, flagged):.2f}, recall {recall_score(rejected, flagged):.2f}"
    )


def wakeful(folder: Path, arguments: str, expect: int) -> None:
    """Run a command in ``folder`` as a reader would, and hold it to its exit code."""
    say(f"$ wakeful {arguments}\n")
    code = subprocess.run([WAKEFUL, *shlex.split(arguments)], cwd=folder, check=False).returncode
    if code != expect:
        sys.exit(f"The demo failed: the command ended with exit code {code} instead of {expect}.")
    say(f"(exit code {code})")


def title(text: str) -> None:
    say(f"\n{text}\n{'─' * len(text)}")


def say(text: str) -> None:
    print(text, flush=True)  # before the output of the next command


if __name__ == "__main__":
    main()
