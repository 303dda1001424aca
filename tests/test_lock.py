"""One process at a time writes a folder."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from children import ragcun
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
    with pytest.raises(UserError, match="is writing this folder") as refusal, only_writer(tmp_path / "e", "ragcun run"):
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


def test_parts_of_a_folder_are_held_apart(tmp_path: Path) -> None:
    with only_writer(tmp_path, "ragcun data negatives", part="a.jsonl"):
        with only_writer(tmp_path, "ragcun data negatives", part="b.jsonl"):
            pass
        with pytest.raises(UserError, match=r"a\.jsonl: "), only_writer(tmp_path, "ragcun data pairs", part="a.jsonl"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_for_the_lock_goes_with_it_unless_something_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_writer(tmp_path / "a" / "b", "ragcun train"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with only_writer(tmp_path / "a", "ragcun train"):
        (tmp_path / "a" / "made").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["made"]


def test_who_waits_comes_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    order = []

    def second() -> None:
        with only_writer(tmp_path, "ragcun eval", wait=True):
            order.append("second")

    with only_writer(tmp_path, "ragcun eval"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert "waiting for `ragcun eval`" in " ".join(capfd.readouterr().err.split())


def test_of_launched_processes_the_first_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with only_writer(tmp_path, "ragcun train"):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        with only_writer(tmp_path, "ragcun train"):
            pass
        assert (tmp_path / NAME).is_file()


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_writer(tmp_path, "ragcun train"):
        _ = 1 / 0
    with only_writer(tmp_path, "ragcun train"):
        assert (tmp_path / NAME).is_file()


@pytest.mark.parametrize("command", [["train"], ["run"], ["ablate", "--grid", "lambda_isotropy=0"]])
def test_a_second_command_ends_with_2_and_writes_nothing(
    command: list[str], tmp_path: Path, collection: Path, tiny_model: Path
) -> None:
    data = ["--train-data", str(collection), "--base-model", str(tiny_model), "--output-dir", str(tmp_path / "e")]
    with only_writer(tmp_path / "e", "ragcun train"):
        done = ragcun(*command, *data)
        assert [path.name for path in (tmp_path / "e").iterdir()] == [NAME]
    assert done.returncode == 2
    assert f"`ragcun train` (process {os.getpid()} on " in " ".join(done.stderr.split())
