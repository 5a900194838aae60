"""The log when things go wrong: what `write` said is safe is read exactly once, what is not is counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import wakeful
from wakeful.live.log.compact import compact
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row

# One process that forks, so that its imports are paid once.
KILLED = """
import os, random, signal, sys, time
import wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row

layout = wakeful.Reference.load("reference.json").layout
for turn in range(int(sys.argv[1])):
    reading, telling = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        writer, at = LogWriter(Log("log", rotate_bytes=30_000), layout), 0
        while True:
            rows = [Row({"income": 1.0, "city": "Köln"}, 0.5, 1e9, f"{turn}-{at + one}") for one in range(7)]
            at += len(rows)
            writer.write(rows)
            os.write(telling, f"{at} {writer.rows} {writer.lost}\\n".encode())
    os.close(telling)
    with open(reading, encoding="utf-8") as told:
        last = told.readline()
        time.sleep(random.Random(turn).random() * 0.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for line in told:
            last = line if line.endswith("\\n") else last
    print(turn, last, flush=True)
"""
KILLS = 40


def test_after_every_kill_each_row_that_was_safe_is_read_exactly_once(
    reference: wakeful.Reference, tmp_path: Path, until: Any
):
    reference.save(tmp_path / "reference.json")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(KILLS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    last = LogWriter(Log(tmp_path / "log", rotate_seconds=0.1), reference.layout)
    until(lambda: not list((tmp_path / "log" / "_open").iterdir()))
    last.close()

    found = Counter(ids(tmp_path / "log"))
    assert max(found.values()) == 1
    turns = [line.split() for line in done.stdout.splitlines() if line]
    assert len(turns) == KILLS
    for turn, handed, rows, lost in turns:
        assert (handed, lost) == (rows, "0")
        assert all(f"{turn}-{at}" in found for at in range(int(rows))), f"turn {turn}: rows are missing"
    told = sum(int(rows) for _, _, rows, _ in turns)
    assert told <= sum(found.values()) <= told + 7 * KILLS  # a write that was on its way when the end came


def ids(folder: Path | str) -> list[str]:
    files = Path(folder).glob("date=*/*.parquet")
    return [one for path in files for one in pq.read_table(path, columns=["id"])["id"].to_pylist()]


def one_segment(folder: Path) -> Path:
    (path,) = (folder / "_open").glob("predictions.*.arrows")
    return path


def batch(first: int, rows: int = 10) -> list[Row]:
    return [Row({"income": 1.0}, 0.5, 1e9, f"{at:03}") for at in range(first, first + rows)]


@pytest.fixture
def died(reference: wakeful.Reference, tmp_path: Path) -> Callable[..., Path]:
    """The segment of a writer that died after three writes of ten rows, and its sizes after each."""

    def make(name: str = "log") -> tuple[bytes, str, list[int]]:
        writer = LogWriter(Log(tmp_path / name), reference.layout)
        sizes = []
        for at in (0, 10, 20):
            writer.write(batch(at))
            sizes.append(one_segment(tmp_path / name).stat().st_size)
        path = one_segment(tmp_path / name)
        data = path.read_bytes()
        writer.close()
        shutil.rmtree(tmp_path / name)
        return data, path.name, sizes

    return make


def put_back(folder: Path, name: str, data: bytes) -> None:
    (folder / "_open").mkdir(parents=True, exist_ok=True)
    (folder / "_open" / name).write_bytes(data)


@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 100, b"\xff\xff\xff\xff\x10\0\0\0 what a disk leaves", b"x" * 5_000], ids=len
)
def test_a_torn_segment_gives_every_write_that_is_whole(garbage: bytes, died: Any, tmp_path: Path):
    data, name, sizes = died()
    cuts = [sizes[0], sizes[0] + 1, sizes[0] + 9, (sizes[0] + sizes[1]) // 2, sizes[1] - 1, sizes[1], len(data)]
    for at, cut in enumerate(cuts):
        folder = tmp_path / str(at)
        put_back(folder, name, data[:cut] + (garbage if cut in sizes else b""))

        assert compact(folder).recovered == 10 * sum(size <= cut for size in sizes), cut
        assert sorted(ids(folder)) == [f"{one:03}" for one in range(10 * sum(size <= cut for size in sizes))]
        assert not list((folder / "_open").iterdir())


@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_a_segment_without_a_whole_schema_is_nothing(size: int, died: Any, tmp_path: Path):
    data, name, _ = died()
    put_back(tmp_path / "log", name, data[:size])

    assert compact(tmp_path / "log").recovered == 0
    assert not list((tmp_path / "log").rglob("*.parquet"))
    assert not list((tmp_path / "log" / "_open").iterdir())


def test_who_dies_between_publishing_and_deleting_is_not_doubled(died: Any, tmp_path: Path):
    data, name, _ = died()
    folder = tmp_path / "log"
    for _ in range(2):
        put_back(folder, name, data)
        compact(folder)

    assert sorted(ids(folder)) == [f"{at:03}" for at in range(30)]


@pytest.mark.parametrize("again", [False, True])
def test_not_even_when_a_compaction_came_in_between(again: bool, died: Any, tmp_path: Path):
    folder = tmp_path / "log"
    pieces = [died(f"from-{at}") for at in range(2)]
    for data, name, _ in pieces:
        put_back(folder, name, data)
    compact(folder)  # publishes both, and merges them
    assert [path.name[:7] for path in folder.glob("date=*/*")] == ["merged-"]
    if again:  # a later file makes it merge the merged one
        data, name, _ = died("from-2")
        put_back(folder, name, data)
        compact(folder)
    put_back(folder, pieces[0][1], pieces[0][0])
    compact(folder)

    assert Counter(Counter(ids(folder)).values()) == Counter({3 if again else 2: 30})


def test_a_segment_of_a_living_writer_is_left_alone(writing: Any, tmp_path: Path):
    writer = writing(tmp_path)
    writer.write(batch(0))

    assert compact(tmp_path).recovered == 0
    assert writing(tmp_path) is not writer
    assert one_segment(tmp_path).exists()


# ---------------------------------------------------------------- the disk


@pytest.fixture
def small_disk(tmp_path: Path, real_component: Any) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    real_component(done.returncode == 0, "a disk that can be mounted", "the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_costs_rows_that_are_counted_until_there_is_room(small_disk: Path, writing: Any, until: Any):
    writer = writing(small_disk / "log", rotate_seconds=0.1)
    writer.write(batch(0))
    until(lambda: len(ids(small_disk / "log")) == 10)
    (small_disk / "of others").write_bytes(bytes(1 << 19))
    with (small_disk / "of others").open("ab") as filling:  # to the last byte
        while True:
            try:
                os.write(filling.fileno(), bytes(4_096))
            except OSError:
                break
    for at in range(10, 40, 10):
        writer.write(batch(at))
    assert (writer.rows, writer.lost) == (10, 30)

    (small_disk / "of others").unlink()
    writer.write(batch(40))
    writer.close()

    assert (writer.rows, writer.lost) == (20, 30)
    assert sorted(ids(small_disk / "log")) == [f"{at:03}" for at in (*range(10), *range(40, 50))]


def test_the_log_leaves_itself_room_to_publish_on_a_disk_that_it_fills_alone(
    small_disk: Path, writing: Any, until: Any
):
    """Without that, a disk full of segments would never be freed again."""
    writer = writing(small_disk / "log")
    at = 0
    while not writer.lost:
        writer.write(batch(at, 100))
        at += 100
    safe = writer.rows
    until(lambda: len(ids(small_disk / "log")) == safe)
    writer.write(batch(at, 100))
    writer.close()

    assert writer.rows == safe + 100
    assert writer.lost == 100


LIMITED = """
import resource, signal, wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row

layout = wakeful.Reference.load("reference.json").layout
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
writer = LogWriter(Log("log"), layout)
for turn in range(60):
    writer.write([Row({"income": 1.0}, 0.5, 1e9, f"{turn}-{at}") for at in range(20)])
writer.close(20)
print(writer.rows, writer.lost)
"""


def test_a_limit_on_files_makes_more_of_them(reference: wakeful.Reference, tmp_path: Path):
    reference.save(tmp_path / "reference.json")

    done = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == ["1200", "0"]
    assert len(set(ids(tmp_path / "log"))) == len(ids(tmp_path / "log")) == 1_200
    assert len(list((tmp_path / "log").glob("date=*/*.parquet"))) > 2


def test_a_directory_that_is_removed_comes_back_with_all_its_open_rows(
    writing: Any, published: Any, until: Any, tmp_path: Path
):
    writer = writing(tmp_path / "log", rotate_seconds=3_600)
    writer.write(batch(0))
    shutil.rmtree(tmp_path / "log")
    writer.write(batch(10))
    writer.close()

    assert (writer.rows, writer.lost) == (20, 0)
    assert sorted(ids(tmp_path / "log")) == [f"{at:03}" for at in range(20)]


def test_a_directory_that_is_a_file_costs_rows_until_it_is_one(writing: Any, tmp_path: Path):
    (tmp_path / "log").write_text("not a directory")
    writer = writing(tmp_path / "log")
    writer.write(batch(0))
    assert (writer.rows, writer.lost) == (0, 10)

    (tmp_path / "log").unlink()
    writer.write(batch(10))
    writer.close()

    assert (writer.rows, writer.lost) == (10, 10)
    assert sorted(ids(tmp_path / "log")) == [f"{at:03}" for at in range(10, 20)]


def test_a_read_only_disk_costs_rows_until_it_is_writable(small_disk: Path, writing: Any):
    writer = writing(small_disk / "log")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    writer.write(batch(0))
    assert (writer.rows, writer.lost) == (0, 10)

    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    writer.write(batch(10))
    writer.close()

    assert (writer.rows, writer.lost) == (10, 10)
    assert sorted(ids(small_disk / "log")) == [f"{at:03}" for at in range(10, 20)]


def test_the_spool_stays_within_its_bound(writing: Any, tmp_path: Path):
    """What was logged stays; what comes later is lost, and counted."""
    writer = writing("s3://nobody/log?endpoint_override=127.0.0.1:9&region=x", spool=tmp_path, spool_bytes=200_000)
    for at in range(300):
        writer.write(batch(10 * at))

    used = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert used < 210_000
    assert 0 < writer.lost < 3_000
    assert writer.rows + writer.lost == 3_000
    assert sum(len(one) for one in open_rows(tmp_path)) == writer.rows


def open_rows(spool: Path) -> Iterator[list[str]]:
    import pyarrow as pa

    for path in spool.glob("*.arrows"):
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            for one in reader:
                yield one.column("id").to_pylist()


# ---------------------------------------------------------------- a bucket


def test_a_bucket_that_refuses_gets_all_rows_once_it_takes_them(
    bucket: str, writing: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = f"later-{os.getpid()}"
    url = f"s3://key:secret@{name}/log?region=eu-central-1&scheme=http&endpoint_override={bucket}"
    writer = writing(url, spool=tmp_path, rotate_bytes=1)
    for at in range(0, 50, 10):
        writer.write(batch(at))
    time.sleep(0.5)  # it may try, and is refused
    assert (writer.rows, writer.lost) == (50, 0)
    assert len(list(tmp_path.glob("*.arrows"))) == 5

    request = urllib.request.Request(f"http://{bucket}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    until(lambda: not list(tmp_path.iterdir()))
    writer.close()

    assert sorted(in_bucket(url)) == [f"{at:03}" for at in range(50)]


def in_bucket(url: str) -> list[str]:
    filesystem, path = pyarrow.fs.FileSystem.from_uri(url)
    found: list[str] = ds.dataset(path, filesystem=filesystem, format="parquet").to_table(["id"])["id"].to_pylist()
    return found


def test_what_a_closed_writer_could_not_upload_the_next_one_does(
    bucket: str, writing: Any, until: Any, died: Any, tmp_path: Path
):
    """And what was uploaded before its writer died, and merged since, is not uploaded again."""
    data, segment, _ = died()
    name = f"next-{os.getpid()}"
    url = f"s3://key:secret@{name}/log?region=eu-central-1&scheme=http&endpoint_override={bucket}"
    spool = tmp_path / "spool"
    first = writing(url, spool=spool)
    first.write(batch(30))
    first.close(timeout=60)
    assert len(list(spool.glob("*.arrows"))) == 1

    urllib.request.urlopen(urllib.request.Request(f"http://{bucket}/{name}", method="PUT"), timeout=10).close()
    (spool / segment).write_bytes(data)
    until_empty = lambda: not list(spool.glob("*.arrows"))  # noqa: E731
    second = writing(url, spool=spool)
    until(until_empty)
    second.close()
    assert sorted(in_bucket(url)) == [f"{at:03}" for at in range(40)]

    done = compact(url, spool=spool)
    assert (done.before, done.after, done.rows) == (2, 1, 40)
    (spool / segment).write_bytes(data)
    third = writing(url, spool=spool)
    until(until_empty)
    third.close()
    assert sorted(in_bucket(url)) == [f"{at:03}" for at in range(40)]


def test_a_bucket_that_does_not_answer_holds_nobody_up(tmp_path: Path, reference: wakeful.Reference):
    """What is left waits in the spool. The process ends once the attempt that is on its way has failed."""
    reference.save(tmp_path / "reference.json")
    code = """
import time, wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Row

layout = wakeful.Reference.load("reference.json").layout
url = "s3://key:secret@bucket/log?region=x&scheme=http&endpoint_override=192.0.2.1"  # TEST-NET: nobody is there
writer = LogWriter(Log(url, spool="spool", rotate_bytes=1), layout)
for at in range(20):
    writer.write([Row({"income": 1.0}, 0.5, 1e9, str(at))])
    time.sleep(0.01)
writer.close(0.5)
print(writer.rows, writer.lost)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.split() == ["20", "0"]
    assert sorted(int(one) for part in open_rows(tmp_path / "spool") for one in part) == list(range(20))
