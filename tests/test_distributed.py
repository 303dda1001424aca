"""What the environment says about processes, without torch, and what is wrong in it, in one line."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from ragcun.console import progress, say
from ragcun.distributed import (
    check_launcher,
    is_first,
    join_processes,
    launched_processes,
    launched_rank,
    refuse_launcher,
)
from ragcun.errors import UserError

ASK = "import sys, ragcun.console, ragcun.distributed as d; print(d.launched_processes(), {'torch'} & {*sys.modules})"


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(variable, raising=False)
    assert (launched_processes(), launched_rank(), is_first()) == (1, 0, True)
    refuse_launcher("not reached")


def test_one_of_several_is_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    say("a line")
    with progress("work", 1) as bar:
        bar.advance()
    assert (launched_processes(), launched_rank(), is_first()) == (4, 3, False)
    assert not capsys.readouterr().err
    monkeypatch.setenv("RANK", "0")
    say("a line")
    assert capsys.readouterr().err == "a line\n"
    with pytest.raises(UserError, match="without a launcher"):
        refuse_launcher("run it without a launcher")


@pytest.mark.parametrize(
    ("variable", "value", "ask"),
    [
        ("WORLD_SIZE", "two", launched_processes),
        ("WORLD_SIZE", "0", launched_processes),
        ("RANK", "-1", is_first),
        ("RANK", "", is_first),
        ("RANK", "1", join_processes),
        ("LOCAL_RANK", "x", check_launcher),
    ],
)
def test_a_malformed_variable_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, ask: Callable[[], object]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=rf"^{variable} = '?{value}'?: must be .*unset"):
        ask()


def test_half_of_a_launcher_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for variable, value in (("RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "x")):
        with pytest.raises(UserError, match=f"^{variable}: is not set, but WORLD_SIZE = 2 is"):
            check_launcher()
        monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=r"^MASTER_PORT = 'x': must be a whole number"):
        check_launcher()


def test_the_environment_is_asked_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)
    assert done.stdout == "1 set()\n"
