"""Late outcomes of real loans, month by month: what a naive monitor sees, what wakeful estimates, and the final truth.

    python bench/maturity.py                       the figures, for windows of a year, a quarter and a month
    python bench/maturity.py --picture maturity.svg

Loans of LendingClub, ../shared/data/lending_club.parquet: those of 2007 to 2011, as of the end of every month from
2010 to 2014. A loan that defaults does so within its term; one that is repaid is known at its end, or when it is
repaid early. Loans over 60 months come up in 2010: with ages in terms they share the curve of those over 36, which is
what --days leaves out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wakeful.delays import delays
from wakeful.maturity import Windows, windows

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "lending_club.parquet"
DATES = np.arange("2010-02", "2015-02", dtype="datetime64[M]").astype("datetime64[D]") - 1
STEPS = {"years": 12, "quarters": 3, "months": 1}


def edges_of(step: int) -> Any:
    return np.arange("2007-01", "2012-02", step, dtype="datetime64[M]")


def windowed(loans: pd.DataFrame, edges: Any, as_of: Any) -> Windows:
    cases = loans["issue_d"], loans["outcome_known_date"], loans["defaulted"]
    terms = loans["days"].to_numpy(dtype=np.float64)
    return windows(delays(*cases, as_of, edges=edges, horizon=1.25, term=terms))


def truth_of(loans: pd.DataFrame, edges: Any) -> Any:
    at = np.searchsorted(edges, loans["issue_d"].to_numpy(), side="right") - 1
    return loans.groupby(at)["defaulted"].mean().reindex(range(len(edges) - 1)).to_numpy()


def history(loans: pd.DataFrame, step: int) -> pd.DataFrame:
    """One row per date and window that is over by then."""
    edges = edges_of(step)
    truth = truth_of(loans, edges)
    rows = []
    for as_of in DATES:
        found = windowed(loans, edges, as_of)
        for at in np.flatnonzero((edges[1:] <= as_of + 1) & (found.rows > 0)):
            one = {name: getattr(found, name)[at] for name in ("status", "known", "naive", "share", "low", "high")}
            rows.append({"as_of": as_of, "window": edges[at], "truth": truth[at]} | one)
    return pd.DataFrame(rows)


def figures(loans: pd.DataFrame) -> None:
    for name, step in STEPS.items():
        begin = time.process_time()
        found = history(loans, step)
        spent = time.process_time() - begin
        print(f"\nwindows of {name}: {len(DATES)} dates, {spent / len(DATES) * 1000:.0f} ms CPU each")
        print("              windows   truth inside   width   error   naive error   (medians)")
        for status in ("mature", "reweighted", "maturing"):
            of = found[found["status"] == status]
            inside = ((of["low"] <= of["truth"]) & (of["truth"] <= of["high"])).mean()
            if of.empty:
                continue
            width, naive = (of["high"] - of["low"]).median(), (of["naive"] - of["truth"]).abs().median()
            error = "-" if status == "maturing" else f"{(of['share'] - of['truth']).abs().median():.4f}"
            print(f"  {status:12}{len(of):7}{inside:14.1%}{width:9.3f}{error:>8}{naive:12.4f}")
    found = windowed(loans, edges_of(12), np.datetime64("2011-12-31"))
    told = f"naive {found.naive[3]:.1%}, wakeful {found.share[3]:.1%} ({found.low[3]:.1%} to {found.high[3]:.1%})"
    print(f"\nloans of 2010 as of 2011-12-31: {told}, final truth {truth_of(loans, edges_of(12))[3]:.1%}")


def picture(loans: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams |= {"svg.hashsalt": "wakeful", "svg.fonttype": "none"}  # the same bytes every time, and few
    from matplotlib import pyplot as plt

    found = history(loans, 12)
    years = sorted(found["window"].unique())[1:]
    figure, axes = plt.subplots(1, len(years), figsize=(14, 3.6), sharey=True, layout="constrained")
    for axis, year in zip(axes, years, strict=True):
        of = found[found["window"] == year]
        axis.fill_between(of["as_of"], of["low"], of["high"], alpha=0.25, color="C0", lw=0, label="wakeful, 95%")
        axis.plot(of["as_of"], of["share"], color="C0", label="wakeful")
        axis.plot(of["as_of"], of["naive"], color="C3", label="known outcomes only")
        axis.axhline(of["truth"].iloc[0], color="black", lw=1, ls="--", label="final truth")
        axis.set(title=f"loans of {year.year}", ylim=(0, 0.6), xlim=(DATES[0], DATES[-1]))
        axis.tick_params(axis="x", rotation=60)
    axes[0].set_ylabel("share that defaults")
    axes[-1].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    print(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write an SVG or PNG in place of figures")
    parser.add_argument("--days", action="store_true", help="ages in days, for every loan alike")
    asked = parser.parse_args()
    table = pd.read_parquet(DATA, columns=["issue_d", "term", "defaulted", "outcome_known_date"])
    table["days"] = 30.4375 * (60 if asked.days else table["term"])
    if asked.picture:
        picture(table, asked.picture)
    else:
        figures(table)
