"""Files are whole or absent, and what killed processes left behind is swept; what living ones write is not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from children import Child
from ragcun import files
from ragcun.files import atomic_folder, atomic_path, sweep, write_text

HANG = """
import sys, time
from pathlib import Path
from ragcun.files import atomic_folder, atomic_path
with atomic_path(Path(sys.argv[1]) / "file.txt") as temporary, atomic_folder(Path(sys.argv[1]) / "folder") as folder:
    temporary.write_text("half")
    (folder / "inside").write_text("half")
    Path(sys.argv[1], "ready").touch()
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Child]:
    process = Child("-c", HANG, tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    yield process
    process.kill()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path: Path, writer: Child) -> None:
    assert len(hidden(tmp_path)) == 2
    write_text(tmp_path / "file.txt", "ours")
    assert len(hidden(tmp_path)) == 2, "it is still at work"

    writer.kill()
    writer.wait()
    assert len(hidden(tmp_path)) == 2

    write_text(tmp_path / "other.txt", "ours")
    assert hidden(tmp_path) == []
    assert (tmp_path / "file.txt").read_text() == "ours"


def test_a_process_number_that_was_given_to_another_is_dead(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as temporary:
        ours = temporary.name
        pid = os.getpid()
        earlier = ours.replace(f"-{pid}-{files._began(pid)}-", f"-{pid}-{files._began(pid) - 1000}-")
        elsewhere = ours.replace(f".{files._host()}-", ".00000000-").replace(f"-{pid}-", "-1-")
        for name in (earlier, elsewhere, ".a.hidden", ".git"):
            (tmp_path / name).touch()
        sweep(tmp_path)
        assert set(hidden(tmp_path)) == {ours, elsewhere, ".a.hidden", ".git"}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "folder", replace=True) as folder:
            (folder / content).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "folder", replace=True):
        _ = 1 / 0
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert hidden(tmp_path) == []
