"""Counts shared by processes: never less, never torn, whatever dies or breaks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from wakeful.errors import DataError
from wakeful.live.shared.slots import Identity, Slot, read

WHOSE = Identity("Löan model", "0123456789abcdef", counters=500, gauges=2)


def add(slot: Slot, number: float = 1.0, gauge: float = 7.0) -> None:
    slot.add(np.full(slot.identity.counters, number), np.full(slot.identity.gauges, gauge))


def total(folder: Path) -> float:
    """What everybody together has counted; all cells are equal in these tests."""
    found = read(folder, WHOSE).readings
    cells = np.unique(np.sum([one.counters for one in found], axis=0)) if found else np.zeros(1)
    assert len(cells) == 1
    return float(cells[0])


def test_what_workers_add_is_summed_and_their_gauges_stand_side_by_side(tmp_path: Path):
    first, second = (Slot.claim(tmp_path, WHOSE) for _ in range(2))

    add(first, 2, gauge=10)
    add(first, 3, gauge=11)
    add(second, 4, gauge=20)

    (reading,) = read(tmp_path, WHOSE).readings
    assert set(reading.counters) == {9.0}
    assert reading.gauges.tolist() == [[11.0, 11.0], [20.0, 20.0]]


def test_who_has_stopped_still_counts_but_has_no_gauges_and_the_next_owner_adds_on(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    add(slot, 5)
    slot.close()

    (reading,) = read(tmp_path, WHOSE).readings
    assert (set(reading.counters), reading.gauges.shape) == ({5.0}, (0, 2))

    following = Slot.claim(tmp_path, WHOSE)
    assert following.path == slot.path
    assert total(tmp_path) == 5
    add(following)
    assert total(tmp_path) == 6


def test_nothing_is_found_where_nobody_has_counted(tmp_path: Path):
    assert read(tmp_path, WHOSE).readings == read(tmp_path / "missing", WHOSE).readings == []


def test_two_versions_stand_side_by_side(tmp_path: Path):
    old, new = WHOSE._replace(version="1.4"), WHOSE._replace(version="2.0 «canary»/\ud800")
    for whose, number in (old, 3), (new, 4):
        add(Slot.claim(tmp_path, whose), number)

    found = read(tmp_path, WHOSE).readings

    assert [(one.version, one.counters[0]) for one in found] == [(old.version, 3.0), (new.version, 4.0)]


@pytest.mark.parametrize("other", [{"layout": "f" * 16}, {"model": "another"}, {"counters": 499, "gauges": 3}])
def test_counts_of_another_reference_are_never_added_up_nor_added_to(tmp_path: Path, other: dict[str, object]):
    slot = Slot.claim(tmp_path, WHOSE._replace(**other))  # type: ignore[arg-type]
    add(slot, 1000)
    slot.close()
    ours = tmp_path / WHOSE.folder / "000.slot"
    ours.parent.mkdir(exist_ok=True)
    if slot.path != ours:
        shutil.copy(slot.path, ours)  # somebody copies or renames it: the name alone is not believed

    add(Slot.claim(tmp_path, WHOSE), 2)

    assert total(tmp_path) == 2
    assert read(tmp_path, WHOSE).skipped == 1


def test_a_version_that_is_too_long_is_refused_before_anything_is_counted():
    with pytest.raises(DataError, match="Give a shorter version"):
        _ = WHOSE._replace(version="x" * 5_000).header


# What becomes of a file.


def flip(path: Path, *places: int) -> None:
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "another text": lambda path: path.write_text("[" * 100_000),
    "a header alone": lambda path: os.truncate(path, 4096),
    "both copies wrong": lambda path: flip(path, 4096 + 100, path.stat().st_size - 100),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_slot_is_skipped_counted_and_left_alone(tmp_path: Path, damage):
    whole, dead = (Slot.claim(tmp_path, WHOSE) for _ in range(2))
    add(whole, 10)
    add(dead, 100)
    add(dead, 100)
    dead.close()
    damage(dead.path)
    left = dead.path.read_bytes()

    assert (total(tmp_path), read(tmp_path, WHOSE).skipped) == (10, 1)
    following = Slot.claim(tmp_path, WHOSE)
    add(following, 1)

    assert following.path.name == "002.slot"
    assert (total(tmp_path), dead.path.read_bytes()) == (11, left)


def test_a_write_that_was_cut_short_leaves_the_one_before_it(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    add(slot, 1)
    add(slot, 1)  # the third generation, after the empty one: it lies in the second copy
    slot.close()

    flip(slot.path, slot.path.stat().st_size - 8)
    assert total(tmp_path) == 1

    add(Slot.claim(tmp_path, WHOSE), 1)
    assert total(tmp_path) == 2


def test_what_is_no_file_is_stepped_over(tmp_path: Path):
    place = tmp_path / WHOSE.folder
    place.mkdir()
    (place / "000.slot").mkdir()
    os.mkfifo(place / "001.slot")
    (place / "002.slot").symlink_to(tmp_path / "elsewhere")

    slot = Slot.claim(tmp_path, WHOSE)
    add(slot)

    assert slot.path.name == "003.slot"
    assert (total(tmp_path), read(tmp_path, WHOSE).skipped) == (1, 3)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_cut_under_its_owner_is_whole_again_after_the_next_add(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    add(slot, 5)
    for already, size in enumerate((0, 10, 4096, 5000)):
        os.truncate(slot.path, size)
        add(slot, 1)
        assert total(tmp_path) == 6 + already
    assert not slot.is_lost()


def test_a_folder_that_is_removed_is_noticed_and_begins_anew(tmp_path: Path):
    folder = tmp_path / "counts"
    slot = Slot.claim(folder, WHOSE)
    add(slot, 5)
    assert not slot.is_lost()

    shutil.rmtree(folder)
    assert slot.is_lost()
    add(slot, 1)  # no error, but nobody sees it
    assert read(folder, WHOSE).readings == []

    slot.close()
    anew = Slot.claim(folder, WHOSE)
    add(anew, 2)
    assert (total(folder), anew.is_lost()) == (2, False)


def test_a_file_that_was_replaced_is_lost(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    copy = tmp_path / "copy"
    shutil.copy(slot.path, copy)
    copy.replace(slot.path)
    assert slot.is_lost()


def test_with_too_many_open_files_reading_fails_rather_than_tell_less(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    add(slot)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(OSError) as raised:
            read(tmp_path, WHOSE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert raised.value.errno == errno.EMFILE
    assert total(tmp_path) == 1


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Slot.claim(tmp_path / "file", WHOSE)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB of our own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    may = os.getuid() == 0 and shutil.which("mount") is not None
    if not may or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk that is really full needs root and the right to mount one; nothing stands in for it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "hog").open("ab", buffering=0) as hog:
        while hog.write(bytes(1024)):
            pass


def test_on_a_full_disk_who_has_a_slot_goes_on_and_who_has_none_is_told(small_disk: Path):
    slot = Slot.claim(small_disk, WHOSE)
    add(slot)
    fill(small_disk)

    with pytest.raises(OSError) as raised:
        Slot.claim(small_disk, WHOSE)
    assert raised.value.errno == errno.ENOSPC
    for _ in range(3):
        add(slot)  # its space was reserved
    assert (total(small_disk), read(small_disk, WHOSE).skipped) == (4, 0)

    os.truncate(slot.path, 0)  # unless somebody takes it away
    fill(small_disk)
    for _ in range(2):
        with pytest.raises(OSError):
            add(slot, 100)
    assert read(small_disk, WHOSE).skipped == 0

    (small_disk / "hog").unlink()
    add(slot, 10)
    assert total(small_disk) == 14  # what failed was not added, and nothing else is missing
    add(Slot.claim(small_disk, WHOSE))
    assert total(small_disk) == 15


# Processes and threads.


def run(script: str, *arguments: object) -> list[str]:
    """Lines that a script prints in an interpreter of its own, where it may fork as it likes."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # Python warns where a process with threads forks
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


_FORK = """
import os, sys
from pathlib import Path
import numpy as np
from wakeful.live.shared.slots import Identity, Slot, read

folder, whose = Path(sys.argv[1]), Identity("m", "0" * 16, 3, 1)
parent = Slot.claim(folder, whose)
parent.add(np.ones(3), np.zeros(1))
told, tell = os.pipe()
wait, go = os.pipe()
if os.fork() == 0:
    os.close(go)
    parent.abandon()
    child = Slot.claim(folder, whose)
    child.add(np.ones(3), np.ones(1))
    os.write(tell, child.path.name.encode())
    os.read(wait, 1)  # lives until the parent has gone on
    os._exit(0)
print(parent.path.name, os.read(told, 100).decode())
parent.add(np.ones(3), np.zeros(1))
print(read(folder, whose).readings[0].counters.tolist(), len(read(folder, whose).readings[0].gauges))
parent.close()  # the child lives, and yet the parent's slot is free: the child let go of it
print(len(read(folder, whose).readings[0].gauges), Slot.claim(folder, whose).path.name)
os.close(go)
os.wait()
"""


def test_a_forked_child_has_a_slot_of_its_own_and_lets_go_of_the_one_it_inherited(tmp_path: Path):
    assert run(_FORK, tmp_path) == ["000.slot 001.slot", "[3.0, 3.0, 3.0] 2", "1 000.slot"]


_KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from wakeful.live.shared.slots import Identity, Slot, read

WORKERS, KILLS = 6, 120
folder, whose = Path(sys.argv[1]), Identity("m", "0" * 16, 20_000, 1)
dice = random.Random(1)


def work(me, tell):
    one = np.zeros(whose.counters)
    one[[0, me + 1, -1]] = 1  # the first and the last cell are written far apart
    slot = Slot.claim(folder, whose)
    while True:
        slot.add(one, np.zeros(1))
        os.write(tell, b".")
        time.sleep(0.0005)  # about as long as it writes


def start(me):
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        work(me, tell)
    os.close(tell)
    os.set_blocking(told, False)
    return pid, told


def heard(pipe):
    number = 0
    try:
        while (data := os.read(pipe, 65536)):
            number += len(data)
    except BlockingIOError:
        pass
    return number


alive, pipes, done = {}, {}, {}
last = np.zeros(whose.counters)
falls = torn = skipped = scrapes = 0
while len(done) < KILLS or alive:
    if len(done) < KILLS and len(alive) < WORKERS:
        me = len(done)
        alive[me], pipes[me] = start(me)
        done[me] = 0
    for me in pipes:
        done[me] += heard(pipes[me])
    found = read(folder, whose)
    scrapes += 1
    skipped = max(skipped, found.skipped)
    if found.readings:
        now = found.readings[0].counters
        falls += bool((now < last).any())
        torn += not (now[0] == now[-1] == now[1:-1].sum())
        last = now
    if len(done) == KILLS or len(alive) == WORKERS and dice.random() < 0.5:
        me = dice.choice(list(alive))
        os.kill(alive[me], signal.SIGKILL)
        os.waitpid(alive.pop(me), 0)
        done[me] += heard(pipes[me])
        os.close(pipes.pop(me))
found = read(folder, whose).readings[0].counters
print(json.dumps({
    "falls": falls, "torn": torn, "skipped": skipped,
    "wrong": [me for me in done if not 0 <= found[me + 1] - done[me] <= 1],  # killed between adding and telling
    "whole": bool(found[0] == found[-1] == found[1:-1].sum()),
    "adds": sum(done.values()), "scrapes": scrapes, "slots": len(list(folder.glob("*/*.slot"))),
}))
"""


def test_kill_9_of_many_workers_loses_nothing_that_was_added_and_no_scrape_sees_less(tmp_path: Path):
    (line,) = run(_KILLED, tmp_path)

    told = json.loads(line)
    assert told["adds"] > 500
    assert told["scrapes"] > 120
    assert (told["falls"], told["torn"], told["skipped"], told["wrong"], told["whole"]) == (0, 0, 0, [], True)
    assert told["slots"] <= 24  # of 120 workers: taken over, not piled up; a scrape may hold one for a moment


def test_a_scrape_in_one_thread_sees_whole_sums_while_another_adds(tmp_path: Path):
    slot = Slot.claim(tmp_path, WHOSE)
    seen, done = [0.0], threading.Event()

    def count() -> None:
        for _ in range(500):
            add(slot)
        done.set()

    thread = threading.Thread(target=count)
    thread.start()
    while not done.is_set():
        seen.append(total(tmp_path))
    thread.join()

    assert seen == sorted(seen)
    assert total(tmp_path) == 500
