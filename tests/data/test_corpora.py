"""Wikipedia and MS MARCO from a hub in their real layouts, made small."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub import COMMIT, Hub
from ragcun.data import wiki
from ragcun.data.hub import Snapshot
from ragcun.data.pairs import load_pairs
from ragcun.data.wiki import cut


def ragcun(hub: Hub, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "ragcun", "data", *arguments, "--json"]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables)


def article(number: int) -> dict[str, str]:
    text = f"Article {number} is about the number {number}.\n\n" + f"It says {number} again and again. " * 12
    return {"id": str(number), "url": "", "title": f"Number {number}", "text": text}


@pytest.fixture
def wikipedia(tmp_path: Path) -> Path:
    """Two of the 41 shards: 30 articles each, with a stub, a redirect, a list of meanings and a repetition."""
    folder = tmp_path / "wikipedia" / "20231101.en"
    folder.mkdir(parents=True)
    odd = [
        {**article(900), "text": "Too short."},
        {**article(901), "text": "#REDIRECT [[Number 3]] " * 20},
        {**article(902), "text": "Number may refer to: " + "many things, " * 40},
        {**article(903), "text": article(3)["text"]},
    ]
    for shard in range(2):
        rows = [article(30 * shard + i) for i in range(30)] + odd
        pq.write_table(pa.Table.from_pylist(rows), folder / f"train-{shard:05}-of-00041.parquet")
    return folder.parent


@pytest.mark.long
def test_wikipedia_passages(tmp_path: Path, wikipedia: Path) -> None:
    with Hub(datasets={"wikimedia/wikipedia": wikipedia}).serve() as hub:
        done = ragcun(
            hub, tmp_path / "home", "wiki", "--passages", "20", "--chars", "300", "--output", str(tmp_path / "w")
        )
        assert done.returncode == 0, done.stderr
        assert not any("train-00001" in request for request in hub.requests)
        more = ragcun(
            hub, tmp_path / "home", "wiki", "--passages", "50", "--chars", "300", "--output", str(tmp_path / "m")
        )
        assert more.returncode == 0, more.stderr
        again = ragcun(
            hub, tmp_path / "home", "wiki", "--passages", "9", "--chars", "300", "--output", str(tmp_path / "m")
        )
        assert again.returncode == 2
        assert "other settings" in again.stderr
    first, second = (
        [json.loads(line) for line in (tmp_path / name / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in "wm"
    )
    assert len(first) == 20
    assert second[:20] == first
    assert len({row["text"] for row in second}) == len(second) == 50
    assert all(150 < len(row["text"]) <= 300 for row in second)
    assert json.loads(more.stdout)["skipped"] == {"stub": 1, "no article": 2, "repeats another": 1}
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"corpus.jsonl", "source.json"}


@pytest.mark.long
def test_a_killed_reading_goes_on(tmp_path: Path, wikipedia: Path) -> None:
    with Hub(datasets={"wikimedia/wikipedia": wikipedia}).serve() as hub:
        arguments = ["wiki", "--passages", "50", "--output", str(tmp_path / "w")]
        variables = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        process = subprocess.Popen(
            [sys.executable, "-m", "ragcun", "data", *arguments], env=variables, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not (tmp_path / "w" / ".unfinished" / "50-500" / "state.json").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        whole = ragcun(hub, tmp_path / "home", "wiki", "--passages", "50", "--output", str(tmp_path / "whole"))
        resumed = ragcun(hub, tmp_path / "home", *arguments)
        assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["sha256"] == json.loads(whole.stdout)["sha256"]


def test_a_shard_is_gone_on_with_where_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.Table.from_pylist([article(number) for number in range(400)])
    pq.write_table(table, tmp_path / "shard.parquet", row_group_size=70)
    monkeypatch.setattr(wiki, "fetch", lambda *_: Snapshot(tmp_path, COMMIT, ["shard.parquet"]))
    monkeypatch.setattr(wiki, "_BATCH", 20)
    monkeypatch.setattr(wiki, "_BATCHES", 3)
    taken: list[str] = []
    take = wiki._Reading._take

    def taking(reading: Any, row: dict[str, Any]) -> None:
        if len(taken) == 250:
            taken.append("interrupted")
            raise KeyboardInterrupt
        taken.append(row["id"])
        take(reading, row)

    whole = wiki.prepare_wiki(tmp_path / "whole", 350)
    monkeypatch.setattr(wiki._Reading, "_take", taking)
    with pytest.raises(KeyboardInterrupt):
        wiki.prepare_wiki(tmp_path / "w", 350)
    resumed = wiki.prepare_wiki(tmp_path / "w", 350)
    assert resumed == whole
    assert taken[:250] == [str(number) for number in range(250)]
    assert taken[251:] == [str(number) for number in range(240, 350)]
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"corpus.jsonl", "source.json"}


@pytest.mark.parametrize("name", ["corpus.jsonl", "state.json"])
def test_a_damaged_part_is_told_and_read_anew(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.Table.from_pylist([article(number) for number in range(200)]), tmp_path / "shard.parquet")
    monkeypatch.setattr(wiki, "fetch", lambda *_: Snapshot(tmp_path, COMMIT, ["shard.parquet"]))
    monkeypatch.setattr(wiki, "_BATCH", 20)
    monkeypatch.setattr(wiki, "_BATCHES", 2)
    whole = wiki.prepare_wiki(tmp_path / "whole", 150)
    take, interrupted = wiki._Reading._take, []

    def taking(reading: Any, row: dict[str, Any]) -> None:
        if int(row["id"]) == 110 and not interrupted:
            interrupted.append(row)
            raise KeyboardInterrupt
        take(reading, row)

    monkeypatch.setattr(wiki._Reading, "_take", taking)
    with pytest.raises(KeyboardInterrupt):
        wiki.prepare_wiki(tmp_path / "w", 150)
    (part,) = (tmp_path / "w").rglob(name)
    content = bytearray(part.read_bytes())
    assert content, "there was something to damage"
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    capsys.readouterr()
    assert wiki.prepare_wiki(tmp_path / "w", 150) == whole
    assert f"{name}: damaged" in " ".join(capsys.readouterr().err.split())


def test_words_are_not_cut() -> None:
    assert cut("one two three", 7) == "one two"
    assert cut("one two three", 9) == "one two"
    assert cut("one two", 50) == "one two"
    assert cut("undivided", 4) == "undi"


@pytest.fixture(params=["parquet", "jsonl.gz"])
def msmarco(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Path]:
    """300 passages, 50 training queries, one of which dev asks, too, 5 of dev; negatives of two systems."""
    main, qrels, negatives = (tmp_path / name for name in ("msmarco", "qrels", "negatives"))
    corpus = [{"_id": str(i), "title": "", "text": f"Passage {i} tells of {i}."} for i in range(300)]
    queries = [{"_id": str(1000 + i), "text": f"what tells of {i}"} for i in range(55)]
    queries[50]["text"] = "What  tells of 7"
    for folder in (qrels, negatives):
        folder.mkdir()
    for name, rows in (("corpus", corpus), ("queries", queries)):
        if request.param == "parquet":
            (main / name).mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(rows), main / name / f"{name}-00000-of-00001.parquet")
        else:
            main.mkdir(exist_ok=True)
            with gzip.open(main / f"{name}.jsonl.gz", "wt", encoding="utf-8") as stream:
                stream.write("\n".join(map(json.dumps, rows)))
    for name, numbers in (("train", range(50)), ("validation", range(50, 55))):
        lines = [f"{1000 + i}\t{i}\t1" for i in numbers]
        (qrels / f"{name}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n", encoding="utf-8")
    mined = [
        {"qid": 1000 + i, "pos": [i], "neg": {"bm25": [i, 100 + i, 101 + i], "dense": [200 + i, 100 + i]}}
        for i in range(50)
    ]
    with gzip.open(negatives / "msmarco-hard-negatives.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(map(json.dumps, mined)))
    return {
        "BeIR/msmarco": main,
        "BeIR/msmarco-qrels": qrels,
        "sentence-transformers/msmarco-hard-negatives": negatives,
    }


@pytest.mark.long
def test_msmarco_is_joined_with_published_negatives(tmp_path: Path, msmarco: dict[str, Path]) -> None:
    with Hub(datasets=msmarco).serve() as hub:
        arguments = ["msmarco", "--pairs", "40", "--hard-negatives", "3", "--output", str(tmp_path / "out")]
        done = ragcun(hub, tmp_path / "home", *arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        asked = len(hub.requests)
        offline = ragcun(hub, tmp_path / "home", *arguments[:-1], str(tmp_path / "again"), "--offline")
        assert offline.returncode == 0, offline.stderr
        assert len(hub.requests) == asked
        whole = ragcun(hub, tmp_path / "home", "msmarco", "--output", str(tmp_path / "all"))
    assert json.loads(offline.stdout)["sha256"] == found["sha256"]
    assert found["pairs"] == {"train": 40, "dev": 5}
    assert found["queries shared with dev, left out of train"] == 1
    train = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    for row in train:
        number = int(row["query"].rpartition(" ")[2])
        assert row["positive"] == f"Passage {number} tells of {number}."
        negatives = [row[f"negative_{i}"] for i in (1, 2, 3)]
        assert negatives == [f"Passage {n} tells of {n}." for n in (200 + number, 100 + number, 101 + number)]
    pairs = load_pairs(tmp_path / "out" / "train.parquet")
    assert (len(pairs), pairs.negatives.shape[1]) == (40, 3)
    assert len(load_pairs(tmp_path / "out" / "dev.parquet")) == 5
    assert whole.returncode == 1
    assert " instead of {" in whole.stderr
    assert not (tmp_path / "all" / "source.json").exists()


@pytest.mark.long
def test_the_presets_prepare_their_own_data(tmp_path: Path, wikipedia: Path, msmarco: dict[str, Path]) -> None:
    script = """
import sys
from pathlib import Path
from ragcun.pipeline.steps import prepare_data
from ragcun.settings.load import load_settings

flags = {"pretraining.rows": 40, "pretraining.passage_chars": 300, "training.rows": 30}
data = prepare_data(load_settings("prototype", None, flags), Path(sys.argv[1])).data
print(data.pretrain, data.pretrain_val, *data.train, data.val)
"""
    with Hub(datasets={"wikimedia/wikipedia": wikipedia, **msmarco}).serve() as hub:
        variables = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", script, str(tmp_path / "e")]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr
    pretrain, pretrain_val, train, val = (load_pairs(path) for path in done.stdout.split())
    assert (len(pretrain), len(pretrain_val)) == (32, 4)
    assert (len(train), len(val)) == (30, 5)
