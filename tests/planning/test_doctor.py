"""The doctor says what it found and what to do, and never a secret."""

import json
import subprocess
from pathlib import Path

import pytest

from children import ragcun


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return ragcun("doctor", "--json", *arguments, HF_TOKEN="hf_secret", **environment)  # noqa: S106


def test_everything_that_is_not_good_says_what_to_do(tmp_path: Path) -> None:
    done = doctor(RAGCUN_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    for subject in ("versions", "device", "precision", "runtime", "memory", "disk of the store", "hub", "LaTeX"):
        assert subject in findings
        assert findings[subject]["found"]
        assert findings[subject]["verdict"] == "good" or findings[subject]["advice"]
    assert findings["token"]["verdict"] == "good"
    assert "hf_secret" not in done.stdout + done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.long
def test_a_hub_that_does_not_answer_is_told_in_time() -> None:
    done = doctor(HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="0")
    hub = next(f for f in json.loads(done.stdout)["findings"] if f["subject"] == "hub")
    assert hub["verdict"] == "limited"
    assert "127.0.0.1:9" in hub["found"]


def test_a_place_that_cannot_be_written_to_is_bad() -> None:
    done = doctor("--store", "/proc/store")
    assert done.returncode == 1
    assert (
        next(f for f in json.loads(done.stdout)["findings"] if f["verdict"] == "bad")["subject"] == "disk of the store"
    )
