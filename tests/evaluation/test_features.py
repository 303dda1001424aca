"""Features of queries."""

from pathlib import Path

from ragcun.data.collection import Collection, write_collection
from ragcun.evaluation.features import query_features


def test_length_overlap_and_number_of_relevant_documents(tmp_path: Path) -> None:
    corpus = [("d1", "Running cats", "of the sea"), ("d2", "", "a dog"), ("d3", "", "cats")]
    queries = [("q1", "the cat runs"), ("q2", "the"), ("q3", "birds fly")]
    qrels = [("q1", "d1", 1), ("q1", "d2", 2), ("q2", "d3", 1), ("q3", "d3", 0)]
    path = write_collection(tmp_path / "c", corpus, queries, {"test": qrels})
    collection = Collection.open(path)
    found = query_features(collection, collection.qrels("test"))
    assert found.words == [3, 1, 2]
    assert found.overlap == [0.5, None, None]  # both terms in d1, none in d2; a stop word alone; nothing relevant
    assert found.relevant == [2, 1, 0]
