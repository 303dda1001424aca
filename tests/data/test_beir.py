"""BEIR's datasets: the table, the hub's layout and BEIR's archives, from servers that break."""

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hub import COMMIT, Hub, beir_repositories
from ragcun.data.beir import prepare_dataset
from ragcun.data.benchmark import Dataset, datasets, find_dataset, select_datasets
from ragcun.data.collection import Collection
from ragcun.errors import RagcunError, UserError

BROUGHT = {"bioasq", "signal1m", "trec-news", "robust04"}


def ragcun(hub: Hub, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    variables["RAGCUN_BEIR_URL"] = f"{hub.url}/BEIR"
    command = [sys.executable, "-m", "ragcun", "data", "beir", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables)


def test_the_table_is_complete() -> None:
    found = datasets()
    beir, nano = ([d for d in found.values() if d.nano is wanted] for wanted in (False, True))
    assert (len(beir), len(nano)) == (19, 13)
    assert {dataset.name for dataset in beir if dataset.bring} == BROUGHT
    for dataset in found.values():
        assert dataset.domain and dataset.task and dataset.citation and dataset.title, dataset.name
        assert dataset.split == ("dev" if dataset.name == "msmarco" else "test")
        assert re.fullmatch("[0-9a-f]{40}", dataset.revision or "0" * 40), dataset.name
        assert not (dataset.revision and dataset.hub is None), dataset.name
        assert bool(dataset.bring) != bool(dataset.hub or dataset.md5), dataset.name
        assert bool(dataset.bring) != bool(dataset.licence and dataset.judgements), dataset.name
        assert re.fullmatch("[0-9a-f]{32}", dataset.md5 or "0" * 32), dataset.name
        assert dataset.nano == (dataset.md5 is None and dataset.revision is not None and dataset.hub is not None)
    forums = found["cqadupstack"]
    assert (len(forums.parts), forums.documents, forums.queries, forums.judgements) == (12, 457_199, 13_145, 23_703)
    names = [name for dataset in found.values() for name in (dataset.name, *dataset.aliases)]
    assert len(set(names)) == len(names)


def test_names_groups_and_aliases() -> None:
    assert [len(select_datasets([group])) for group in ("all", "public", "nanobeir")] == [19, 15, 13]
    small = select_datasets(["small"])
    assert {"scifact", "nfcorpus"} <= {dataset.name for dataset in small}
    assert max(dataset.documents for dataset in small) < 60_000
    assert select_datasets(["NFCorpus", "nfcorpus", "dbpedia"]) == [
        datasets()["nfcorpus"],
        datasets()["dbpedia-entity"],
    ]
    assert find_dataset("Touche_2020") is datasets()["webis-touche2020"]
    with pytest.raises(UserError, match="no dataset 'plants'; there are all, public, small"):
        select_datasets(["plants"])


@pytest.mark.long
def test_the_hub_s_layouts_and_what_fails_on_the_way(tmp_path: Path) -> None:
    table, home, data = datasets(), tmp_path / "home", tmp_path / "data"
    repositories = beir_repositories(tmp_path, table["nano-scidocs"]) | beir_repositories(tmp_path, table["scifact"])
    (tmp_path / "scifact" / "corpus.jsonl.gz").write_bytes(b"the same again")
    (tmp_path / "nfcorpus-qrels").mkdir()
    (tmp_path / "nfcorpus-qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n", "utf-8")
    repositories |= {"BeIR/nfcorpus": tmp_path / "scifact", "BeIR/nfcorpus-qrels": tmp_path / "nfcorpus-qrels"}
    names = ["nano-scidocs", "nfcorpus", "fiqa", "robust04", "scifact"]
    with Hub(datasets=repositories).serve() as hub:
        done = ragcun(hub, home, *names, "--data-dir", str(data), "--json")
        asked = len(hub.requests)
        again = ragcun(hub, home, "nano-scidocs", "scifact", "--data-dir", str(data), "--json")
        copied = ragcun(hub, home, "nano-scidocs", "scifact", "--data-dir", str(tmp_path / "copy"), "--offline")
        missing = ragcun(hub, tmp_path / "empty", "quora", "cqadupstack", "--data-dir", str(data), "--offline")
        assert len(hub.requests) == asked
    assert not any("corpus.jsonl.gz" in request for request in hub.requests)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [row["dataset"] for row in found["datasets"]] == ["nano-scidocs", "scifact"]
    failures = {failure["dataset"]: failure["error"] for failure in found["failures"]}
    assert (
        "5,183 documents instead of 3,633; 1 judgements instead of 12,334); the download was discarded"
        in failures["nfcorpus"]
    )
    assert "BeIR/fiqa: no such folder here and no such dataset" in failures["fiqa"]
    assert f"put it into {data / 'robust04'}: corpus: apply for TREC disks 4 and 5" in failures["robust04"]
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert [line.split()[1] for line in warnings] == ["nfcorpus:", "fiqa:", "robust04:"]
    assert "Traceback" not in done.stderr
    assert {path.name for path in data.iterdir()} == {"nano-scidocs", "scifact"}
    assert again.returncode == copied.returncode == 0, again.stderr + copied.stderr
    for name in ("nano-scidocs", "scifact"):
        collection = Collection.open(data / name)
        counts = len(collection.corpus), len(collection.qrels("test")), len(collection.judgements("test").grades)
        assert counts == (table[name].documents, table[name].queries, table[name].judgements)
        assert collection.fingerprint("test") == Collection.open(tmp_path / "copy" / name).fingerprint("test")
        source = json.loads((data / name / "source.json").read_text("utf-8"))
        assert source["commits"][table[name].hub] == (table[name].revision or COMMIT)
    assert Collection.open(data / "scifact").corpus[7] == "Title 7 text 7"
    assert Collection.open(data / "scifact").splits() == ["dev", "test"]
    assert missing.returncode == 1
    assert "quora: BeIR/quora: corpus/*.parquet" in missing.stderr
    assert "not in the local cache" in missing.stderr
    assert f"cqadupstack: not in {data}, and --offline forbids to download it" in missing.stderr


def archive(files: Mapping[str, str], link: str | None = None) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in files.items():
            writer.writestr(name, content)
        if link is not None:
            member = zipfile.ZipInfo(link)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            writer.writestr(member, "/etc/passwd")
    return packed.getvalue()


def collection_files(folder: str, documents: int) -> dict[str, str]:
    corpus = [
        {"_id": f"d{i}", "title": "", "text": hashlib.sha256(f"{i}".encode()).hexdigest()} for i in range(documents)
    ]
    return {
        f"{folder}/corpus.jsonl": "".join(json.dumps(row) + "\n" for row in corpus),
        f"{folder}/queries.jsonl": '{"_id": "q", "text": "which"}\n',
        f"{folder}/qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\td0\t1\n",
        f"{folder}/notes/readme.txt": "not part of a collection",
    }


def dataset_of(content: bytes, documents: int = 40, **facts: Any) -> Dataset:
    counts = {"documents": documents, "queries": 1, "judgements": 1, "own_document": False, "words": (4.0, 9.0)}
    words = {"title": "Toy", "split": "test", "domain": "toys", "task": "play", "citation": "Nobody"}
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Dataset(**{"name": "toy", "md5": digest, **counts, **words, **facts})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server of archives, which huggingface_hub reaches and for which it does not wait in fact."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with Hub().serve() as hub:
        monkeypatch.setenv("RAGCUN_BEIR_URL", f"{hub.url}/BEIR/")
        yield hub


def test_a_cut_archive_is_gone_on_from(server: Hub, tmp_path: Path) -> None:
    content = archive(collection_files("toy", 40))
    server.archives["/BEIR/toy.zip"] = content
    server.cut = 4
    folder = prepare_dataset(dataset_of(content), tmp_path / "data")
    assert server.cut == 0
    assert len(server.requests) == 6  # one for the size
    assert len(Collection.open(folder).corpus) == 40
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "corpus.jsonl",
        "queries.jsonl",
        "source.json",
        "test.tsv",
    ]
    assert {path.name for path in folder.parent.iterdir()} == {"toy"}


def test_a_server_that_brings_nothing_is_waited_for_and_leaves_what_is_there(server: Hub, tmp_path: Path) -> None:
    content = archive(collection_files("toy", 40))
    server.archives["/BEIR/toy.zip"] = content
    part = tmp_path / "data" / ".toy.zip.part"
    part.parent.mkdir()
    part.write_bytes(content[:100])
    server.busy = [(503, {}), (429, {}), *[(503, {})] * 4]
    with pytest.raises(RagcunError, match=r"toy\.zip: the server answered 503"):
        prepare_dataset(dataset_of(content), tmp_path / "data")
    assert part.read_bytes() == content[:100]
    server.busy = [(503, {})]
    assert prepare_dataset(dataset_of(content), tmp_path / "before").is_dir()
    part.write_bytes(content + b"of another file")
    prepare_dataset(dataset_of(content), tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "toy")
    part.write_bytes(content)  # killed after the last byte
    prepare_dataset(dataset_of(content), tmp_path / "data")
    assert not part.exists()


def test_an_archive_of_another_md5_is_not_kept(server: Hub, tmp_path: Path) -> None:
    content = archive(collection_files("toy", 40))
    server.archives["/BEIR/toy.zip"] = content
    with pytest.raises(RagcunError, match=r"toy\.zip: its MD5 is [0-9a-f]{32} instead of 0{32}; the file was removed"):
        prepare_dataset(dataset_of(content, md5="0" * 32), tmp_path / "data")
    assert list(tmp_path.rglob("*")) == []
    with pytest.raises(RagcunError, match="40 documents instead of 41"):
        prepare_dataset(dataset_of(content, documents=41), tmp_path / "data")
    assert list(tmp_path.rglob("*")) == []
    with pytest.raises(RagcunError, match=r"other: .*not in .*--offline forbids"):
        prepare_dataset(dataset_of(content, name="other"), tmp_path / "data", offline=True)
    with pytest.raises(RagcunError, match=r"other\.zip: the server answered 404"):
        prepare_dataset(dataset_of(content, name="other"), tmp_path / "data")


@pytest.mark.parametrize(
    "escape", ["../stolen.jsonl", "/stolen.jsonl", "toy/../../stolen.jsonl", "toy\\..\\stolen.jsonl"]
)
def test_an_archive_that_leaves_its_folder_is_refused(server: Hub, tmp_path: Path, escape: str) -> None:
    content = archive(collection_files("toy", 40) | {escape: "{}"})
    server.archives["/BEIR/toy.zip"] = content
    with pytest.raises(RagcunError, match=r"refused, .* leads out of its folder"):
        prepare_dataset(dataset_of(content), tmp_path / "data")
    assert not list(tmp_path.rglob("stolen*"))
    assert not list(tmp_path.rglob("corpus.jsonl"))


def test_links_bombs_and_what_is_no_archive_are_refused(server: Hub, tmp_path: Path) -> None:
    linked = archive(collection_files("toy", 40), link="toy/qrels/dev.tsv")
    bomb = archive(collection_files("toy", 40) | {"toy/zeros": "0" * 10_000_000})
    empty = archive({"another/corpus.jsonl": "{}"})
    for content, said in (
        (linked, "refused, because 'toy/qrels/dev.tsv' leads out"),
        (bomb, "claim to unpack to"),
        (empty, "does not contain toy/corpus.jsonl"),
        (b"<html>moved</html>", "not a zip archive, or damaged"),
    ):
        server.archives["/BEIR/toy.zip"] = content
        data = tmp_path / hashlib.md5(content, usedforsecurity=False).hexdigest()
        with pytest.raises(RagcunError, match=said):
            prepare_dataset(dataset_of(content), data)
        assert not (data / "toy").exists()


def test_one_archive_of_several_collections(server: Hub, tmp_path: Path) -> None:
    content = archive(collection_files("toy/red", 40) | collection_files("toy/blue", 30))
    server.archives["/BEIR/toy.zip"] = content
    parts = tuple(
        dataset_of(content, count, name=f"toy-{name}", whole="toy") for name, count in (("red", 40), ("blue", 30))
    )
    folder = prepare_dataset(dataset_of(content, 70, parts=parts), tmp_path / "data")
    assert [len(Collection.open(folder / name).corpus) for name in ("red", "blue")] == [40, 30]
    assert prepare_dataset(parts[1], tmp_path / "data") == folder / "blue"  # it is there


def test_ls(tmp_path: Path) -> None:
    (tmp_path / "data" / "scifact").mkdir(parents=True)
    (tmp_path / "data" / "scifact" / "corpus.jsonl").touch()
    with Hub().serve() as hub:
        done = ragcun(hub, tmp_path, "ls", "--data-dir", str(tmp_path / "data"), "--json")
        shown = ragcun(hub, tmp_path, "ls", "--data-dir", str(tmp_path / "data"))
        assert hub.requests == []
    rows = {row["name"]: row for row in json.loads(done.stdout)["datasets"]}
    assert len(rows) == 32
    assert [name for name, row in rows.items() if row["here"]] == ["scifact"]
    assert (rows["scifact"]["revision"], rows["scifact"]["judgements"]) == (None, 339)
    assert rows["bioasq"]["bring"].startswith("register at")
    assert len(rows["cqadupstack"]["parts"]) == 12
    assert shown.stderr == ""
    assert re.search(r"msmarco .* dev .* 8,841,823 .* 6,980 .* 7,437", shown.stdout)
