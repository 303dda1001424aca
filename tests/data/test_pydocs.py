import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragcun.data.collection import Collection
from ragcun.data.packages import Package, required_packages, standard_library
from ragcun.data.pydocs import (
    SHARES,
    Pair,
    distinct,
    pydocs_collection,
    read_packages,
    sample,
    split_by_package,
)
from ragcun.errors import UserError
from ragcun.files import read_json, tree_sha256

WORDS = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "kelp", "lotus", "moss", "oak"]


def docstring(package: int, item: int) -> str:
    """A summary and a body that no other (package, item) has."""
    a, b = WORDS[package % 13] + WORDS[package // 13], WORDS[item % 13]
    return f"Tell how {b} grows beside {a} in time.\n\n{b} {a} {'soil and water ' * 5}are what a plant needs to grow."


def source(package: int, items: int) -> str:
    return "\n".join(f'def item{i}():\n    """{docstring(package, i)}"""\n' for i in range(items))


Distribute = Callable[..., Path]


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribute:
    """Install a distribution, files by path and requirements, into a folder that is on `sys.path`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(name: str, files: dict[str, str], requires: tuple[str, ...] = (), licence: str = "MIT") -> Path:
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text, encoding="utf-8")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", f"License-Expression: {licence}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in reversed(files)), encoding="utf-8")
        return site

    return install


def packages_of(sizes: dict[str, int], folder: Path) -> list[Package]:
    folder.mkdir(exist_ok=True)
    packages = []
    for index, (name, items) in enumerate(sizes.items()):
        path = folder / f"{name}.py"
        path.write_text(source(index, items), encoding="utf-8")
        packages.append(Package(name, "1.0", "MIT", {name: path}))
    return packages


def rows_of(collection: Path) -> dict[str, dict[str, dict[str, int]]]:
    opened = Collection.open(collection)
    return {split: opened.qrels(split) for split in SHARES}


def test_required_packages_are_the_closure_of_the_requirements(distribute: Distribute) -> None:
    distribute("fake_root", {"fake_root.py": ""}, ("fake-a", "fake_extra; extra == 'x'", "absent-one"))
    distribute(
        "fake_a", {"fake_a/__init__.py": "", "fake_a/deep.py": ""}, ("Fake.B>=1", "fake_old; python_version < '3'")
    )
    distribute("fake_b", {"fake_b.py": "", "fake_b.so": "", "../bin/fake_b.py": "", "fake-script.py": ""}, ("fake-a",))
    distribute("fake_extra", {"fake_extra.py": ""})
    distribute("fake_old", {"fake_old.py": ""})
    distribute("unrelated", {"unrelated.py": ""})
    found = required_packages("fake_root")
    assert [(package.name, list(package.modules)) for package in found] == [
        ("fake-a", ["fake_a", "fake_a.deep"]),
        ("fake-b", ["fake_b"]),
    ]
    assert {(package.version, package.licence) for package in found} == {("1.0", "MIT")}
    with pytest.raises(UserError, match=r"nowhere-to-be-found: not installed.*pip install"):
        required_packages("nowhere-to-be-found")


def test_tests_and_vendored_copies_are_left_out(distribute: Distribute) -> None:
    kept = ["fake_a/__init__.py", "fake_a/latest.py", "fake_a/contest.py"]
    left_out = ["tests/a.py", "test_a.py", "a_test.py", "testing/a.py", "conftest.py", "_vendor/a.py", "examples/a.py"]
    distribute("fake_root", {"fake_root.py": ""}, ("fake-a",))
    distribute("fake_a", dict.fromkeys([*kept, *(f"fake_a/{path}" for path in left_out)], ""))
    (package,) = required_packages("fake_root")
    assert list(package.modules) == ["fake_a", "fake_a.contest", "fake_a.latest"]
    unittest, *_ = standard_library(["unittest"])
    assert "unittest.mock" in unittest.modules
    assert not any(".test" in module for module in unittest.modules)


def test_each_pair_belongs_to_itself_alone() -> None:
    def pair(name: str, query: str, document: str) -> Pair:
        return Pair("p", name, query, document)

    opening = "the opening of a document is made of twenty words and these are they so that it is long enough"
    alone = pair("alone", "Only here", "A document of its own.")
    copies = [pair("copy.1", "Said twice", f"{opening}, once."), pair("copy.2", "said, twice!", f"{opening} again.")]
    ambiguous = [pair("a.1", "Return it", "This is one thing."), pair("a.2", "Return it.", "That is another.")]
    shared = [pair("s.1", "Add one", "Parameters: x: A number."), pair("s.2", "Subtract", "Parameters: x: A number.")]
    renamed = [pair("same", "One name", "First of that name."), pair("same", "The name again", "Second of that name.")]
    assert distinct([alone, *copies, *ambiguous, *shared, *renamed]) == [alone, copies[0], renamed[0]]


@pytest.mark.parametrize("sizes", [[1, 1, 1], [500, 3, 2], [40] * 3 + [5] * 20 + [1] * 100, [7] * 60])
def test_no_package_is_in_two_splits(sizes: list[int]) -> None:
    pairs = [Pair(f"p{p}", f"p{p}.{i}", "", "") for p, size in enumerate(sizes) for i in range(size)]
    splits = split_by_package(pairs)
    assert sorted(pair.id for rows in splits.values() for pair in rows) == sorted(pair.id for pair in pairs)
    packages = [{pair.package for pair in rows} for rows in splits.values()]
    assert all(packages)
    assert sum(map(len, packages)) == len(sizes)
    if len(sizes) > 3:
        for split, share in SHARES.items():
            assert len(splits[split]) / len(pairs) == pytest.approx(share, abs=0.02)


def test_fewer_than_three_packages_are_refused() -> None:
    with pytest.raises(UserError, match="in 2 packages only; at least 3"):
        split_by_package([Pair("a", "a.1", "", ""), Pair("b", "b.1", "", "")])


def test_a_sample_keeps_the_shares_and_follows_the_seed() -> None:
    splits = {split: [Pair(split, f"{split}.{i:03}", "", "") for i in range(200)] for split in SHARES}
    chosen = sample(splits, 100, seed=0)
    assert {split: len(rows) for split, rows in chosen.items()} == {"train": 80, "dev": 10, "test": 10}
    assert all(rows == sorted(rows, key=lambda pair: pair.id) for rows in chosen.values())
    shuffled = {split: rows[::-1] for split, rows in splits.items()}
    assert sample(shuffled, 100, seed=0) == chosen
    assert sample(splits, 100, seed=1) != chosen
    assert {split: set(rows) for split, rows in sample(splits, None, 0).items()} == {
        split: set(rows) for split, rows in splits.items()
    }
    with pytest.raises(UserError, match="3 documents leave the dev split empty"):
        sample(splits, 3, seed=0)


def test_the_collection_is_one_that_ragcun_reads(tmp_path: Path) -> None:
    packages = packages_of({"one": 12, "two": 5, "three": 4, "four": 3}, tmp_path / "site")
    folder = pydocs_collection(tmp_path / "out" / "pydocs", packages=packages, max_words=13, processes=1)
    collection = Collection.open(folder)
    assert (len(collection.corpus), len(collection.queries), sorted(collection.splits())) == (24, 24, sorted(SHARES))
    described = read_json(folder / "source.json")
    assert described["documents"] == described["queries"] == sum(described["splits"].values()) == 24
    assert described["settings"] == {"documents": None, "seed": 0, "max_words": 13}
    assert described["files"] == {"read": 4}
    split_of = {package["name"]: package["split"] for package in described["packages"]}
    assert set(split_of) == {"one", "two", "three", "four"}
    ids = dict(zip(collection.corpus.ids(), collection.corpus, strict=True))
    for split, qrels in rows_of(folder).items():
        for query, documents in qrels.items():
            (document,) = documents
            assert query not in ids
            assert split_of[document.partition(".")[0]] == split
            assert len(ids[document].split()) == 13
    assert ids["two.item3"].startswith("dune birchamber soil and water")


def test_a_folder_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packages = packages_of({"one": 12, "two": 5, "three": 4}, tmp_path / "site")
    folder = tmp_path / "pydocs"
    folder.mkdir()
    pydocs_collection(folder, packages=packages, processes=1)
    before = tree_sha256(folder)
    capsys.readouterr()
    assert pydocs_collection(folder, packages=packages, processes=1) == folder
    assert "up to date" in capsys.readouterr().err
    with pytest.raises(UserError, match="another collection"):
        pydocs_collection(folder, packages=packages, max_words=12, processes=1)
    assert tree_sha256(folder) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UserError, match="mine: exists and is no collection"):
        pydocs_collection(tmp_path / "mine", packages=packages, processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "pydocs", "site"]


def test_the_same_packages_give_the_same_bytes(distribute: Distribute, tmp_path: Path) -> None:
    names = [f"fake_{word}" for word in WORDS]
    distribute("fake_root", {"fake_root.py": ""}, tuple(names))
    for index, name in enumerate(names):
        site = distribute(
            name, {f"{name}/{part}.py": source(13 * part_index + index, 3) for part_index, part in enumerate("ab")}
        )
    code = (
        "import sys\nfrom ragcun.data.packages import required_packages\n"
        "from ragcun.data.pydocs import pydocs_collection\n"
        "if __name__ == '__main__':\n"
        "    pydocs_collection(sys.argv[1], 60, packages=required_packages('fake_root'), processes=int(sys.argv[2]))"
    )
    sums = []
    for hash_seed, processes in (("1", "1"), ("2", "2")):
        folder = tmp_path / f"out{hash_seed}"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
        subprocess.run([sys.executable, "-c", code, str(folder), processes], env=environment, check=True)
        sums.append(tree_sha256(folder))
    assert sums[0] == sums[1]
    assert read_json(folder / "source.json")["splits"] == {"train": 48, "dev": 6, "test": 6}


def test_the_real_standard_library(tmp_path: Path) -> None:
    packages = standard_library(["argparse", "asyncio", "email", "http", "json", "logging", "unittest", "urllib"])
    pairs, files = read_packages(packages, 100, processes=1)
    assert files["read"] > 50
    assert sum(files.values()) == sum(len(package.modules) for package in packages)
    assert "argparse.FileType" in {pair.id for pair in pairs}
    assert not any(name in sys.modules for name in ("urllib.robotparser", "unittest.__main__"))
    folder = pydocs_collection(tmp_path / "pydocs", 100, packages=packages, processes=2)
    assert {split: len(qrels) for split, qrels in rows_of(folder).items()} == {"train": 80, "dev": 10, "test": 10}
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    serial = {pair.id: pair.document for pair in pairs}
    assert all(serial[row["_id"]] == row["text"] for row in rows)
