"""The applications, the model that is learnt from them, and what its service needs.

Run it with ``python examples/loans/train.py FOLDER``: it writes the model, its reference and a monitor file there.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

DATA = Path(__file__).with_name("loanapp.csv")
WAKEFUL = Path(sys.executable).with_name("wakeful")
UNKNOWN = 999_999  # the survey's code for a number that nobody knew
PROPERTIES = {1: "condominium", 2: "single-family", 3: "multi-family"}
WORDS = ["employment", "property"]

# A flagged application gets a second look. A rejection that nobody foresaw costs as much as four
# needless looks, and then looking pays off from this probability on (Elkan 2001, section 2).
THRESHOLD = 1 / (1 + 4)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/loans")
    folder.mkdir(parents=True, exist_ok=True)
    training, reference, validation = split(applications(), parts=3)
    model = train(training)
    joblib.dump(model, folder / "model.joblib")
    scored(reference, model).to_parquet(folder / "reference.parquet", index=False)
    scored(validation, model).to_parquet(folder / "validation.parquet", index=False)
    subprocess.run([WAKEFUL, *shlex.split(f"{INIT} --out .")], cwd=folder, check=True)


# One in ten of the flagged applications is not looked at, at random: only there it shows whether the model is right.
INIT = (
    "init reference.parquet --score score --label rejected --segment property "
    f"--threshold {THRESHOLD} --holdout-share 0.1 --id application_id --name loans"
)


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


def score(model: Any, application: dict[str, Any]) -> float:
    """The model's answer to one application as it came; what is no number, or is missing, is not known."""
    table = pd.DataFrame([application], columns=_columns(model))
    numbers = table.columns.difference(WORDS)
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return float(model.predict_proba(model_inputs(table))[0, 1])


def _columns(model: Any) -> Sequence[str]:
    return [name for name in model.feature_names_in_ if not name.endswith(("_to_income", "_to_value"))]


if __name__ == "__main__":
    main()
