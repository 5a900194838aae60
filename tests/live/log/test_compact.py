"""`wakeful log compact`: many small files become one a day, and a reader sees every row once."""

from __future__ import annotations

import datetime as dt
import fcntl
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.engines.duckdb import stored_files
from wakeful.live.log.compact import compact
from wakeful.live.log.place import Place
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Outcome, Row
from wakeful.replay import open_history

DAY = 86_400.0
MANUAL = Path(__file__).resolve().parents[3] / "docs" / "log.md"


def log_of(folder: Path | str, layout: Any, files: int = 5, start: float = 1e9, rows: int = 10) -> set[str]:
    """Write a log of small files; the ids that are in it."""
    written = set()
    for file in range(files):
        ids = [f"{start:.0f}-{file}-{at}" for at in range(rows)]
        writer = LogWriter(Log(folder), layout)
        writer.write([Row({"income": 1.0}, 0.5, start + 60 * at + file, one) for at, one in enumerate(ids)])
        writer.close(60)
        written |= set(ids)
    return written


def ids(folder: Path | str) -> Counter[str]:
    """How often each id is read; what is no Parquet file is passed over."""
    data = ds.dataset(str(folder), format="parquet", exclude_invalid_files=True)
    return Counter(data.to_table(["id"])["id"].to_pylist())


def test_every_past_day_becomes_one_file_in_the_order_of_time(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    now = dt.datetime.now(dt.UTC).timestamp()
    wanted = set.union(*(log_of("log", reference.layout, start=start) for start in (1e9, 1e9 + DAY, now - 3_600)))
    old = list(Path("log").glob("date=2001*/*"))
    before = {day: pq.read_schema(next(iter(day.iterdir()))) for day in Path("log").glob("date=*")}

    shown = CliRunner().invoke(app, ["log", "compact", "log"])

    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        "recovered 0 rows of writers that had died",
        "merged 10 files of 2 days into 2 (100 rows)",
    ]
    assert ids("log") == Counter(wanted)
    assert not any(path.exists() for path in old)
    new = sorted(Path("log").glob("date=2001*/*"))
    assert [path.parent.name for path in new] == ["date=2001-09-09", "date=2001-09-10"]
    for path in new:
        table = pq.read_table(path, partitioning=None)
        assert table.column("observed_at").to_pylist() == sorted(table.column("observed_at").to_pylist())
        assert table.schema.remove_metadata() == before[path.parent].remove_metadata()
        assert table.schema.metadata[b"wakeful.model"] == b"loans"
    assert open_history("log/date=2001*/*.parquet").span("observed_at").in_order
    assert len(list(Path("log").glob("date=2*/*"))) == 2 + 5  # today is left alone
    assert [path.name for path in Path("log/_compact").iterdir()] == ["lock"]


def test_late_rows_are_merged_the_next_time(reference: wakeful.Reference, tmp_path: Path):
    wanted = log_of(tmp_path, reference.layout)
    compact(tmp_path)
    wanted |= log_of(tmp_path, reference.layout, files=1, start=1e9 + 1)

    done = compact(tmp_path)

    assert (done.days, done.before, done.after, done.rows) == (1, 2, 1, 60)
    assert ids(tmp_path) == Counter(wanted)
    assert compact(tmp_path).days == 0


def test_outcomes_are_compacted_too_and_stay_apart(reference: wakeful.Reference, tmp_path: Path):
    for at in range(3):
        writer = LogWriter(Log(tmp_path), reference.layout)
        writer.write_outcomes([Outcome(f"a-{at}", 1, 1e9)])
        writer.close(60)

    assert compact(tmp_path).days == 1
    assert ids(tmp_path / "_outcomes") == Counter(["a-0", "a-1", "a-2"])
    assert not list(tmp_path.glob("date=*"))


def test_files_with_other_columns_are_merged_apart(reference: wakeful.Reference, traffic: Any, tmp_path: Path):
    """A new reference in the middle of a day; and a file of somebody else stays as it is."""
    data = traffic(2_000)
    learnt = wakeful.learn(data | {"age": data["rent"]}, score="score", threshold=0.5, name="loans")
    wanted = log_of(tmp_path, reference.layout, files=2) | log_of(tmp_path, learnt.layout, files=2, start=1e9 + 1)
    (day,) = tmp_path.glob("date=*")
    pq.write_table(pq.read_table(next(day.iterdir()), columns=["id"])[:1], day / "by hand.parquet")
    (day / "README").write_text("notes")

    done = compact(tmp_path)

    assert (done.before, done.after) == (4, 2)
    assert (day / "README").read_text() == "notes"
    (day / "by hand.parquet").unlink()
    assert ids(tmp_path) == Counter(wanted)


def test_a_reader_sees_every_row_once_or_an_error(reference: wakeful.Reference, tmp_path: Path):
    """Lists the day and reads its files, over and over, while it is merged ten times."""
    wanted = log_of(tmp_path, reference.layout, files=3)
    (day,) = tmp_path.glob("date=*")
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                found = [one for path in sorted(day.iterdir()) for one in pq.read_table(path, columns=["id"])["id"]]
            except (FileNotFoundError, NotADirectoryError):
                continue
            seen.append(len(found) - len({str(one) for one in found}))
            seen.append(len(found) % 10)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(10):
            wanted |= log_of(tmp_path, reference.layout, files=1, start=1e9 + 1 + turn)
            compact(tmp_path)
    finally:
        stop.set()
        reader.join()

    assert len(seen) > 20
    assert set(seen) == {0}
    assert ids(tmp_path) == Counter(wanted)


KILLED = """
import os, random, signal, sys, time
import wakeful
from collections import Counter
from pathlib import Path
from wakeful.live.log.compact import compact
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row
import pyarrow.parquet as pq

layout = wakeful.Reference.load("reference.json").layout

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

def add(turn):
    for file in range(2):
        writer = LogWriter(Log("log"), layout)
        writer.write([Row({"income": 1.0}, 0.5, 1e9 + at, f"{turn}-{file}-{at}") for at in range(10)])
        writer.close(60)

def check(turns):
    found = Counter()
    for path in Path("log").glob("date=*/*.parquet"):
        found.update(pq.ParquetFile(path).read(["id"])["id"].to_pylist())
    names = [f"{turn}-{file}-{at}" for turn in range(turns) for file in range(2) for at in range(10)]
    assert found == Counter(names), found

def wait(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

killed = 0
for turn in range(int(sys.argv[1])):
    wait(in_child(lambda: add(turn)))
    child = in_child(lambda: compact("log"))
    time.sleep(random.Random(turn).random() * 0.12)
    os.kill(child, signal.SIGKILL)
    killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    wait(in_child(lambda: check(turn + 1)))
wait(in_child(lambda: compact("log")))
wait(in_child(lambda: check(int(sys.argv[1]))))
print(killed)
"""


def test_a_compaction_that_is_killed_leaves_every_row_exactly_once(reference: wakeful.Reference, tmp_path: Path):
    reference.save(tmp_path / "reference.json")

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, "30"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
    assert len(list((tmp_path / "log").glob("date=*/*"))) == 1
    assert [path.name for path in (tmp_path / "log/_compact").iterdir()] == ["lock"]


def test_without_an_exchange_of_folders_the_merged_file_comes_first(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As on systems and network disks that do not know it."""
    monkeypatch.setattr("wakeful.live.log.compact._EXCHANGE", 1 << 20)  # a flag that no system knows
    wanted = log_of(tmp_path, reference.layout)
    (tmp_path / "date=2001-09-09" / "README").write_text("notes")

    assert compact(tmp_path).after == 1

    assert ids(tmp_path) == Counter(wanted)
    assert sorted(path.name[:6] for path in tmp_path.glob("date=*/*")) == ["README", "merged"]


def test_a_bucket_is_compacted_and_an_interrupted_deletion_is_finished(
    bucket: str, reference: wakeful.Reference, tmp_path: Path
):
    url = f"s3://key:secret@history/compact?region=eu-central-1&scheme=http&endpoint_override={bucket}"
    wanted = log_of(url, reference.layout)
    place = Place(url)
    files = place.files("predictions", "date=2001-09-09")
    with place.open(files[0].name) as source:
        first = source.read()

    done = compact(url)
    assert (done.before, done.after, done.rows) == (5, 1, 50)
    with place.filesystem.open_output_stream(place.path(files[0].name)) as sink:
        sink.write(first)  # as if it had not been deleted
    compact(url)

    (merged,) = place.files("predictions", "date=2001-09-09")
    with place.open(merged.name) as source:
        assert Counter(pq.read_table(source)["id"].to_pylist()) == Counter(wanted)


DIES = """
import os, sys
from wakeful.live.log.compact import compact
from wakeful.live.log.place import Place

url, step = sys.argv[1:]
put, delete, left = Place.put, Place.delete, [1]

def dying_put(place, file, name):
    if step == "before the upload":
        os._exit(9)
    if step == "in the upload" and place.local is not None:
        os._exit(9)  # it is renamed
    if step == "in the upload":
        sink = place.filesystem.open_output_stream(place.path(name))
        sink.write(file.read_bytes()[:1000])
        os._exit(9)
    put(place, file, name)
    if step == "before the deletions":
        os._exit(9)

def dying_delete(place, name):
    if not left:
        os._exit(9)
    left.pop()
    delete(place, name)

Place.put = dying_put
if step == "in the deletions":
    Place.delete = dying_delete
compact(url)
"""
STEPS = ["before the upload", "in the upload", "before the deletions", "in the deletions"]


@pytest.fixture(params=["bucket", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A bucket, or a folder on a disk that cannot exchange folders."""
    if request.param == "folder":
        return Place(tmp_path / "log")
    bucket, path = request.getfixturevalue("bucket"), tmp_path.name
    return Place(f"s3://key:secret@history/{path}?region=eu-central-1&scheme=http&endpoint_override={bucket}")


@pytest.mark.parametrize("step", STEPS)
def test_a_compaction_that_dies_shows_our_readers_every_row_once_and_is_finished(
    step: str, place: Place, reference: wakeful.Reference, tmp_path: Path
) -> None:
    wanted = log_of(place.url, reference.layout)
    code = DIES if place.local is None else DIES.replace("compact(url)", NO_EXCHANGE + "compact(url)")
    died = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(place.url), step], check=False)
    assert died.returncode == 9

    merged = [one for one in place.files("predictions", "date=2001-09-09") if one.stem.startswith("merged-")]
    assert len(merged) == (step in STEPS[2:])
    assert histories(place.url) == Counter(wanted)
    found = plainly(place)
    assert found.keys() == wanted  # others may see a row twice, but never miss one
    assert max(found.values()) == (2 if merged else 1)

    wanted |= log_of(place.url, reference.layout, files=1, start=1e9 + 1)  # rows that come meanwhile
    assert histories(place.url) == Counter(wanted)
    compact(place.url)
    assert histories(place.url) == plainly(place) == Counter(wanted)
    assert len(place.files("predictions", "date=2001-09-09")) == 1


NO_EXCHANGE = """
from wakeful.live.log import compact as module
module._EXCHANGE = 1 << 20
"""


def histories(url: Any) -> Counter[str]:
    """How often each id is in the history that a replay reads, and in the files that a join reads."""
    found = [open_history(str(url)), *(one.open() for one in stored_files(str(url)) or ())]
    read = [Counter(id for batch in one.as_stored() for id in batch["id"].to_pylist()) for one in found]
    assert read[0] == sum(read[1:], Counter())
    return read[0]


def plainly(place: Place) -> Counter[str]:
    """How often each id is in the files, as any engine reads them."""
    found: Counter[str] = Counter()
    for one in place.files("predictions", "date=2001-09-09"):
        with place.open(one.name) as file:
            found.update(pq.read_table(file, columns=["id"])["id"].to_pylist())
    return found


def test_other_engines_can_leave_out_what_is_replaced_as_well(
    reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the query of the manual."""
    monkeypatch.chdir(tmp_path)
    wanted = log_of("log", reference.layout)
    code = DIES.replace("compact(url)", NO_EXCHANGE + "compact(url)")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, "log", "in the deletions"], check=False)
    (query,) = re.findall(r"```sql\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.S)
    assert ids("log") != Counter(wanted)
    assert Counter(id for (id,) in duckdb.sql(f"SELECT id FROM ({query})").fetchall()) == Counter(wanted)


def test_one_compaction_at_a_time(reference: wakeful.Reference, tmp_path: Path):
    log_of(tmp_path, reference.layout)
    (tmp_path / "_compact").mkdir()
    with (tmp_path / "_compact/lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(wakeful.DataError, match=r"another compaction of .* runs"):
            compact(tmp_path)
    assert compact(tmp_path).after == 1


def test_days_that_are_too_old_are_deleted(reference: wakeful.Reference, tmp_path: Path):
    now = time.time()
    for age in (5, 500):
        log_of(tmp_path, reference.layout, start=now - age * DAY)

    shown = CliRunner().invoke(app, ["log", "compact", str(tmp_path), "--keep", "400d", "--older-than", "7d"])

    day = dt.datetime.fromtimestamp(now - 500 * DAY, dt.UTC).date()
    assert shown.output.splitlines()[-1] == f"deleted date={day}"
    assert len(list(tmp_path.glob("date=*/*"))) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no log at nowhere: the folder does not exist."),
        (["http://x/log"], "cannot log to http://…: give a directory"),
        ([".", "--older-than", "soon"], "'soon' is no duration"),
        ([".", "--keep", "0d"], "'0d' is no duration"),
    ],
)
def test_what_cannot_be_compacted_is_refused(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    shown = CliRunner().invoke(app, ["log", "compact", *arguments])

    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())
