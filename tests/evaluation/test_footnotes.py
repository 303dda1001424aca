"""What stands below a table."""

from ragcun.evaluation.footnotes import footnotes, settings_text

ENCODER = {
    "model": "some/model",
    "prompts": {"query": "query: ", "document": ""},
    "pooling": "cls",
    "max_length": 512,
    "precision": "bf16",
    "similarity": "euclidean",
    "title": "joined with the text",
    "device": "cuda",
}


def test_all_that_determines_a_ranking_is_said() -> None:
    text = "query prompt “query:”, CLS pooling, 512 tokens, bf16, Euclidean similarity, title joined with the text"
    assert settings_text(ENCODER) == text
    fused = {
        "model": "reciprocal-rank fusion",
        "k": 60,
        "depth": 1000,
        "inputs": [{"label": "BM25", "k1": 0.9, "b": 0.4}, {"label": "m"} | ENCODER],
    }
    assert settings_text(fused) == (
        f"reciprocal-rank fusion, k = 60, to depth 1000, of BM25 (k1 = 0.9, b = 0.4) and m ({text})"
    )
    assert settings_text({}) == ""


def test_models_of_the_same_settings_share_a_line() -> None:
    notes = footnotes([("a", ENCODER), ("b", {"k1": 1.2}), ("c", ENCODER), ("a", ENCODER), ("d", {})])
    assert [labels for labels, _ in notes] == [["a", "c"], ["b"]]
