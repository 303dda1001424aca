"""Commands that repeat results."""

import shlex
from pathlib import Path

from ragcun.evaluation.repeat import command


def record(retriever: dict, **more: object) -> dict:
    return {"dataset": "scifact", "split": "test", "model": "my model", "inputs": {"retriever": retriever}, **more}


def test_what_determined_the_ranking_is_in_the_command() -> None:
    asked = {
        "files": "0",
        "precision": "bf16",
        "max_length": 128,
        "runtime": "openvino",
        "version": "1",
        "index": "hnsw",
    }
    words = shlex.split(command(record(asked), Path("data/sci fact")))
    assert words == [
        *("ragcun", "eval", "collection", "data/sci fact", "--split", "test", "--model", "my model"),
        *(
            "--precision",
            "bf16",
            "--max-length",
            "128",
            "--runtime",
            "openvino",
            "--index",
            "hnsw",
            "--output",
            "again",
        ),
    ]


def test_a_fusion_has_the_options_of_its_parts_and_skipped_rows_are_skipped_again() -> None:
    asked = {"fusion": {"k": 60}, "inputs": [{"k1": 0.9}, {"precision": "fp32", "max_length": None}]}
    text = command(record(asked, problems={"counts": {"no text": 1}}), None)
    assert "collection scifact" in text
    assert text.endswith("--precision fp32 --on-error skip --output again")
