"""Wrong inputs, here a sample of `bench/bad_inputs.py`: one line, exit code 2, nothing made."""

import errno
import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors import SafetensorError
from typer.main import get_command

from children import ragcun
from ragcun.cli.command import Command
from ragcun.cli.main import app, main
from ragcun.data.archive import archive_url
from ragcun.data.hub import endpoint
from ragcun.errors import Failure, RagcunError, UserError, explained
from ragcun.files import atomic_folder, atomic_path
from ragcun.intact import write_safetensors

BENCH = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "bench" / "bad_inputs.py")))


def commands(command: Any, path: str = "") -> dict[str, Any]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path.strip(): command}
    return {name: one for child, of in inner.items() for name, one in commands(of, f"{path} {child}").items()}


def test_every_command_checks_its_values_and_is_in_the_bench() -> None:
    found = commands(get_command(app))
    assert len(found) > 15
    assert found.keys() == BENCH.COMMANDS.keys()
    assert all(isinstance(command, Command) for command in found.values())


def test_wrong_inputs_end_in_one_line_and_leave_nothing(tmp_path: Path, tiny_model: Path) -> None:
    cases = BENCH.cases()
    assert len(cases) > 1_500
    place = BENCH.Place(tmp_path, str(tiny_model))
    outcomes = {case: place.run(case) for case in cases[::31]}
    faults = {case: outcome.faults(case) for case, outcome in outcomes.items()}
    slow = [fault for found in faults.values() for fault in found if fault.endswith(" s")]
    wrong = {case: found for case, found in faults.items() if set(found) - set(slow)}
    assert not wrong, {case: outcomes[case].errors for case in wrong}


def test_a_value_that_is_no_choice_is_refused_in_our_words() -> None:
    refused = ragcun("data", "negatives", "--negatives", "x")
    assert refused.returncode == 2
    assert "'x' is not one of" in refused.stderr
    assert "Value error" not in refused.stderr


def test_the_bench_sees_what_is_not_clean() -> None:
    epochs = BENCH.Case("option", ("train", "--epochs", "x"), ("--epochs",))
    outcome = BENCH.Outcome(1, "out", "Traceback\n", ("settings.toml",), 3.0)
    assert len(outcome.faults(epochs)) == 6
    told = BENCH.Outcome(2, "", "error: another\n", (), 0.1)
    assert told.faults(epochs) == ["another mistake is told"]


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOENT, UserError, "check the path"),
        (errno.EACCES, UserError, "permissions"),
        (errno.EISDIR, UserError, "a file is expected"),
        (errno.ENOTDIR, UserError, "is a file"),
        (errno.ENOSPC, RagcunError, "free some space"),
    ],
)
def test_what_the_system_refuses_names_the_file_and_a_remedy(number: int, kind: type[RagcunError], said: str) -> None:
    told = explained(OSError(number, os.strerror(number), "some/file"))
    assert type(told) is kind
    assert str(told).startswith(f"some/file: {os.strerror(number)}; ")
    assert said in str(told)
    assert Failure.of("toy", told).exit_code == kind.exit_code


def test_a_library_error_that_is_no_refusal_of_the_system_stays_a_failure() -> None:
    assert str(explained(ConnectionError("reset"))) == "ConnectionError: reset"


@pytest.mark.long
def test_names_that_are_not_utf8_and_control_characters_print(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\x1b[31m\n[red]")
    done = ragcun("eval", "collection", name, "--model", "bm25", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "caf\\xe9\\x1b[31m [red]: no such folder" in done.stderr
    refused = ragcun("data", "pairs", "--documents", "docs.txt", "--output", name, cwd=tmp_path)
    assert refused.returncode == 2
    assert "caf\\xe9" in refused.stderr and "is not UTF-8" in refused.stderr, refused.stderr
    assert not list(tmp_path.iterdir())
    name = "caf\x9b\x1b[31m\n[red]"
    (tmp_path / "docs.txt").write_text("\n".join(f"Word {i} is here. It is number {i} of all." for i in range(40)))
    made = ragcun("data", "pairs", "--documents", "docs.txt", "--output", name, "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "\x1b" not in made.stdout + made.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("train --epochs x", "'x' must be a whole number"),
        ("ablate --learning-rate x", "'x' must be a number"),
        ("report csv results --digits 9", "'9' must be at most 4"),
        ("eval collection data --model bm25 --max-length 0", "'0' must be at least 1"),
        ("eval compare results --seed -1", "'-1' must be at least 0"),
    ],
)
def test_the_parser_says_what_a_value_must_be_in_our_words(
    arguments: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ragcun", *arguments.split()])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr().err
    assert f": {expected} (see `ragcun " in told
    assert "nput should" not in told


def test_what_an_encoding_does_not_have_is_escaped(tmp_path: Path) -> None:
    variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    shown = subprocess.run(
        [sys.executable, "-m", "ragcun", "data", "beir", "ls", "--data-dir", "é"],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert b"scifact" in shown.stdout


def test_names_that_a_library_cannot_open_are_one_line() -> None:
    with pytest.raises(UnicodeEncodeError) as refused:
        "caf\udce9".encode()
    told = explained(refused.value)
    assert type(told) is UserError
    assert "a name that is not UTF-8" in str(told)
    for secret in ("é", "Bearer 🔑", "Bearer \udce9"):  # such as a header, which is no name and is not to be shown
        with pytest.raises(UnicodeEncodeError) as other:
            secret.encode("ascii")
        told = explained(other.value)
        assert (type(told), secret in str(told)) == (RagcunError, False)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "must begin with http"),
        ("http://", "name a server"),
        ("http://[", "must begin with http"),
        ("http://host:x", "must begin with http"),
        ("https://user:s3cret@host", "must have no user or password"),
    ],
)
def test_an_address_with_a_secret_is_refused_without_it(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("RAGCUN_BEIR_URL", address)
    for found in (endpoint, lambda: archive_url("scifact")):
        with pytest.raises(UserError, match=said) as refused:
            found()
        assert "s3cret" not in str(refused.value)


def test_what_libraries_say_of_a_full_disk_is_what_the_system_says(tmp_path: Path) -> None:
    rust = explained(Exception("I/O error: No space left on device (os error 28)"))
    copied = explained(shutil.Error([("a", "b/c", "[Errno 28] No space left on device: 'a' -> 'b/c'")]))
    for told, start in ((rust, "No space left"), (copied, "b/c: No space left")):
        assert type(told) is RagcunError
        assert str(told).startswith(start)
        assert "free some space" in str(told)


@pytest.mark.parametrize("atomic", [atomic_path, atomic_folder])
@pytest.mark.parametrize("named", [False, True])
def test_an_error_for_want_of_room_names_the_file_and_not_its_temporary_name(
    atomic: Any, named: bool, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="No space") as refused, atomic(tmp_path / "whole") as temporary:
        name = (str(temporary / "inside"),) if named else ()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *name)
    assert str(explained(refused.value)).startswith(f"{tmp_path / 'whole'}: No space left on device; free some space")
    assert not list(tmp_path.iterdir())


def test_a_safetensors_file_without_room_is_an_error_of_the_system(tmp_path: Path) -> None:
    def save(_: Path, __: dict[str, str]) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(OSError, match="No space"):
        write_safetensors(tmp_path / "a.safetensors", save, {})
    assert not list(tmp_path.iterdir())
