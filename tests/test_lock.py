"""One process at a time writes a folder."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragcun.errors import UserError
from ragcun.lock import NAME, only_writer

HOLD = """
import sys, time
from pathlib import Path
from ragcun.lock import only_writer
with only_writer(Path(sys.argv[1]), "ragcun train"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "e"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(UserError, match="is writing it") as refusal, only_writer(tmp_path / "e", "ragcun run"):
        pass
    for said in ("ragcun train", f"process {holder.pid}", socket.gethostname()):
        assert said in str(refusal.value)


def test_a_killed_writer_s_lock_is_taken_over_and_nothing_stays(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert (tmp_path / "e" / NAME).exists()
    with only_writer(tmp_path / "e", "ragcun train"):
        pass
    assert list((tmp_path / "e").iterdir()) == []


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_writer(tmp_path, "ragcun train"):
        _ = 1 / 0
    with only_writer(tmp_path, "ragcun train"):
        assert (tmp_path / NAME).is_file()
