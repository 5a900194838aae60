"""Where counts are shared if nobody says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wakeful
from wakeful.live.shared import folder
from wakeful.live.shared.folder import counts_folder, default_folder


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As on a machine whose shared memory is this folder."""
    monkeypatch.delenv("WAKEFUL_COUNTS", raising=False)
    monkeypatch.setattr(folder, "MEMORY", tmp_path)
    return tmp_path


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WAKEFUL_COUNTS", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"


def test_the_processes_of_a_group_share_it_and_another_group_has_its_own(own_place: Path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom wakeful.live.shared import folder\n"
        "folder.MEMORY = Path(sys.argv[1])\nprint(folder.default_folder())"
    )

    def found(**options: bool) -> Path:
        command = [sys.executable, "-c", script, str(own_place)]
        return Path(subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout.strip())  # type: ignore[call-overload]

    mine = default_folder()
    assert found() == mine
    assert found(start_new_session=True) != mine
    assert mine.parent == own_place


def test_reading_writes_nothing(own_place: Path, reference: wakeful.Reference):
    assert wakeful.Monitor(reference).counts().rows == 0
    assert wakeful.Monitor(reference).counts(own_place / "missing").rows == 0
    assert list(own_place.iterdir()) == []
    assert counts_folder() == default_folder()


def test_nobody_else_may_look_into_it():
    assert default_folder().stat().st_mode & 0o777 == 0o700


def test_it_is_in_the_temporary_folder_where_there_is_no_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(folder, "MEMORY", tmp_path / "missing")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert default_folder().parent == tmp_path


def test_one_that_others_may_write_to_or_that_is_a_link_is_refused(tmp_path: Path):
    ours = default_folder()
    ours.chmod(0o777)
    for found in default_folder, counts_folder:
        with pytest.raises(PermissionError, match="WAKEFUL_COUNTS=FOLDER"):
            found()

    ours.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    ours.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="not shared there"):
        default_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_one_of_somebody_else_is_refused():
    ours = default_folder()
    os.chown(ours, 12_345, -1)
    with pytest.raises(PermissionError, match="not shared there"):
        default_folder()


def test_leftovers_of_groups_that_are_gone_are_removed_and_nothing_else(own_place: Path):
    ours = default_folder()
    prefix = ours.name.rpartition("-")[0]
    gone = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    gone.wait()
    lives = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        old, other, alien, odd = (
            own_place / name
            for name in (f"{prefix}-{gone.pid}", f"{prefix}-{lives.pid}", f"x{prefix}-{gone.pid}", f"{prefix}-9x")
        )
        for path in (old, other, alien, odd):
            path.mkdir()
            (path / "000.slot").write_bytes(b"")

        assert default_folder() == ours
        assert sorted(own_place.iterdir()) == sorted([ours, other, alien, odd])
    finally:
        lives.kill()
        lives.wait()
