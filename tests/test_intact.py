"""What is read back is what was written: a flipped bit, a cut, an empty and a missing file are found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ragcun.errors import RagcunError, UserError
from ragcun.intact import (
    DamagedError,
    check_safetensors,
    read_kept,
    read_record,
    read_written,
    write_record,
    write_safetensors,
)

Damage = Callable[[Path], None]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def tensors_at(path: Path) -> Path:
    values = {"values": np.arange(300, dtype=np.float32), "mask": np.array([True, False])}
    write_safetensors(path, lambda temporary, metadata: save_file(values, temporary, metadata), {"state": "here"})
    return path


def test_every_bit_of_a_safetensors_file_counts(tmp_path: Path) -> None:
    path = tensors_at(tmp_path / "whole.safetensors")
    check_safetensors(path)
    np.testing.assert_array_equal(load_file(path)["values"], np.arange(300))
    whole = path.read_bytes()
    for at in range(len(whole)):
        flip(path, at)
        with pytest.raises(DamagedError, match=r"whole\.safetensors: damaged"):
            check_safetensors(path)
        path.write_bytes(whole)
    for length in (0, 4, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match="damaged"):
            check_safetensors(path)


def test_equal_tensors_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        values = {"values": np.arange(300, dtype=np.float32)}
        write_safetensors(tmp_path / f"{name}.safetensors", lambda path, told, v=values: save_file(v, path, told), {})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_flipped_bit_of_a_record_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(path, {"name": "é", "rows": (1, 2), "mean": 0.1, 3: None})
    written = read_record(path)
    assert written == {"name": "é", "rows": [1, 2], "mean": 0.1, "3": None}
    whole, found = path.read_bytes(), 0
    for at in range(len(whole)):
        flip(path, at)
        try:
            read = read_record(path)
        except DamagedError:
            found += 1
        else:  # white space, or the name of the checksum itself
            assert {name: read[name] for name in written} == written
        path.write_bytes(whole)
    assert found > 0.5 * len(whole)


@pytest.mark.parametrize("damage", [lambda p: flip(p, 3), lambda p: p.write_bytes(b""), Path.unlink])
def test_a_record_answers_for_its_files(damage: Damage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, record = tmp_path / "inside" / "file.bin", tmp_path / "record.json"
    file.parent.mkdir()
    file.write_bytes(b"0123456789")
    write_record(record, {"what": "a test"}, [file])
    assert read_kept(record) == read_record(record)

    damage(file)

    with pytest.raises(DamagedError, match=r"file\.bin"):
        read_record(record)
    assert read_record(record, files=False)["what"] == "a test"
    assert read_kept(record) is None
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_person_wrote_has_no_checksum_and_is_taken(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"label": "mine"}', encoding="utf-8")
    assert read_record(tmp_path / "record.json") == {"label": "mine"}
    assert read_kept(tmp_path / "absent.json") is None


def test_what_one_command_wrote_for_another_is_whole_or_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    write_record(path, {"audits": [1]})
    assert read_written(path, "audits") == {"audits": [1]}
    with pytest.raises(UserError, match=r"audit\.json: was not written by ragcun \(it has no 'claims'\)"):
        read_written(path, "claims")
    path.write_text(path.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    with pytest.raises(RagcunError, match=r"audit\.json: damaged .*; run the command that wrote it again") as refused:
        read_written(path, "audits")
    assert refused.value.exit_code == 1


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(IsADirectoryError):
        read_record(tmp_path / "record.json")
