"""What a model was trained on is found again under another path, another name, and behind a model it started from."""

import shutil
from pathlib import Path

from ragcun.data.collection import Collection
from ragcun.data.pairs import load_pairs
from ragcun.data.provenance import Provenance


def test_a_collection_is_known_by_its_texts_or_its_name(collection: Path, tmp_path: Path) -> None:
    known = Provenance.of_training(
        {"train": load_pairs(collection).source, "dev": {"path": "elsewhere", "split": "dev"}}
    )
    copy = shutil.copytree(collection, tmp_path / "renamed")
    assert known.domain(Collection.open(copy)) == "in-domain"
    changed = shutil.copytree(collection, tmp_path / "x" / collection.name)
    for folder in (changed, copy):
        with (folder / "corpus.jsonl").open("a", encoding="utf-8") as stream:
            stream.write('{"_id": "more", "title": "", "text": "one more document"}\n')
    assert known.domain(Collection.open(changed)) == "in-domain"
    assert known.domain(Collection.open(copy)) == "out-of-domain"


def test_a_file_of_pairs_is_the_collection_that_it_lies_in_or_is_named_after(collection: Path, tmp_path: Path) -> None:
    opened = Collection.open(shutil.copytree(collection, tmp_path / "made" / "animals"))

    def domain(path: Path) -> str:
        return Provenance.of_training({"train": {"path": str(path), "split": None}}).domain(opened)

    assert domain(opened.path / "mined" / "pairs.jsonl") == "in-domain"
    assert domain(tmp_path / "animals.jsonl") == "in-domain"
    assert domain(tmp_path / "animals" / "train.jsonl") == "in-domain"
    assert domain(tmp_path / "made" / "train.jsonl") == "out-of-domain"
    (tmp_path / "made" / "source.json").write_text("{}", encoding="utf-8")
    assert domain(tmp_path / "made" / "train.jsonl") == "in-domain"


def test_what_a_model_started_from_counts_and_so_does_what_guarded_it(collection: Path) -> None:
    source = load_pairs(collection).source
    elsewhere = {"path": "elsewhere", "split": "train"}
    guarded = Provenance.of_training({"train": elsewhere, "dev": elsewhere, "out_of_domain": [source]})
    first = Provenance.of_training({"train": source, "dev": source})
    opened = Collection.open(collection)
    assert guarded.domain(opened) == "guard"
    for before, expected in ((first, "in-domain"), (guarded, "guard")):
        second = Provenance.of_training({"train": elsewhere, "dev": elsewhere, "before": before.to_json()})
        assert second.domain(opened) == expected
    both = Provenance.of_all([None, guarded, first])
    assert both is not None and both.domain(opened) == "in-domain"
    assert Provenance.of_all([None]) is None
