"""Downloads from a hub that is busy, breaks, lies, refuses or is away."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub import COMMIT, Hub

FETCH = """
import json, sys
from ragcun.data import hub
from ragcun.errors import RagcunError
try:
    found = hub.fetch(hub.HubFiles("lab/data", ("*.parquet",), *sys.argv[2:]), offline=sys.argv[1] == "offline")
    print(json.dumps({"folder": str(found.folder), "commit": found.commit, "names": found.names}))
except RagcunError as error:
    print(json.dumps({"error": str(error), "code": error.exit_code}))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "a.parquet").write_bytes(bytes(range(256)) * 400)
    (folder / "b.parquet").write_bytes(b"small")
    (folder / "README.md").write_text("no data", encoding="utf-8")
    return folder


def fetch(
    home: Path, endpoint: str, *revision: str, how: str = "online", **variables: str
) -> tuple[dict[str, Any], str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **variables}
    command = [sys.executable, "-c", FETCH, how, *revision]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout), done.stderr


def test_what_matches_is_downloaded_once_and_is_there_offline(tmp_path: Path, data: Path) -> None:
    with Hub(datasets={"lab/data": data}).serve() as hub:
        found, _ = fetch(tmp_path / "home", hub.url, HF_TOKEN="hf_secret")  # noqa: S106
        assert found["names"] == ["b.parquet", "part/a.parquet"]
        assert found["commit"] == COMMIT
        assert Path(found["folder"], "part/a.parquet").read_bytes() == (data / "part" / "a.parquet").read_bytes()
        assert "Bearer hf_secret" in hub.tokens
        assert not any("README" in request for request in hub.requests)
        asked = len(hub.requests)
        offline, _ = fetch(tmp_path / "home", hub.url, how="offline")
        assert offline == found
        assert len(hub.requests) == asked
        missing, _ = fetch(tmp_path / "another", hub.url, how="offline")
        assert missing["code"] == 1
        assert "lab/data: *.parquet not in the local cache" in missing["error"]
    away, said = fetch(tmp_path / "home", "http://127.0.0.1:9")
    assert away == found
    assert "does not answer; using the local cache" in said


@pytest.mark.long
def test_a_busy_hub_and_a_cut_connection_are_waited_for(tmp_path: Path, data: Path) -> None:
    with Hub(datasets={"lab/data": data}).serve() as hub:
        hub.busy = [(503, {}), (429, {"Retry-After": "1"})]
        hub.cut = 2
        found, said = fetch(tmp_path / "home", hub.url)
    assert "HTTP Error 503" in said
    assert "Waiting 2.0s before retry" in said  # as the hub asked, and a second
    assert (hub.busy, hub.cut) == ([], 0)
    assert Path(found["folder"], "part/a.parquet").read_bytes() == (data / "part" / "a.parquet").read_bytes()
    assert Path(found["folder"], "b.parquet").read_bytes() == b"small"


@pytest.mark.long
def test_what_is_not_whole_is_not_taken_for_whole(tmp_path: Path, data: Path) -> None:
    home = tmp_path / "home"
    with Hub(datasets={"lab/data": data}).serve() as hub:
        found, _ = fetch(home, hub.url)
        Path(found["folder"], "part/a.parquet").unlink()
        for how, address in (("offline", hub.url), ("online", "http://127.0.0.1:9")):
            partial, _ = fetch(home, address, how=how)
            assert partial["code"] == 1
            assert "incomplete (1 files are missing, such as part/a.parquet)" in partial["error"]
        assert fetch(home, hub.url)[0] == found


def test_a_file_that_is_not_the_listed_one_is_removed(tmp_path: Path, data: Path) -> None:
    with Hub(datasets={"lab/data": data}).serve() as hub:
        hub.wrong = frozenset({"a.parquet"})
        refused, _ = fetch(tmp_path / "home", hub.url)
        assert refused["code"] == 1
        assert "part/a.parquet differs from the hub's file" in refused["error"]
        assert not list((tmp_path / "home").rglob("a.parquet"))
        hub.wrong = frozenset()
        found, _ = fetch(tmp_path / "home", hub.url)
    assert Path(found["folder"], "part/a.parquet").read_bytes() == (data / "part" / "a.parquet").read_bytes()


def test_what_the_hub_refuses_is_one_line(tmp_path: Path, data: Path) -> None:
    with Hub(datasets={"lab/other": data}).serve() as hub:
        absent, _ = fetch(tmp_path / "home", hub.url)
        assert (absent["code"], "no such dataset" in absent["error"]) == (2, True)
    with Hub(datasets={"lab/data": data}, gated=frozenset({"lab/data"})).serve() as hub:
        gated, said = fetch(tmp_path / "home", hub.url, HF_TOKEN="hf_secret")  # noqa: S106
        assert (gated["code"], "HF_TOKEN" in gated["error"]) == (2, True)
        assert "hf_secret" not in gated["error"] + said
    with Hub(datasets={"lab/data": data}).serve() as hub:
        unknown, _ = fetch(tmp_path / "home", hub.url, "no-such-branch")
        assert (unknown["code"], "no revision 'no-such-branch'" in unknown["error"]) == (2, True)


def test_a_disk_without_room_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragcun.data import hub
    from ragcun.errors import RagcunError

    with pytest.raises(RagcunError, match=r"lab/data: .* GiB to download, .* GiB are free"):
        hub._look_at_disk("lab/data", 2**60)
