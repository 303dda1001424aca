"""Scores are trec_eval's, and BEIR's on the same run."""

import numpy as np
import pytest
import pytrec_eval

from ragcun.errors import UserError
from ragcun.evaluation.metrics import DEPTH, MEASURES, mean_scores, score

Qrels = dict[str, dict[str, int]]
Run = dict[str, dict[str, float]]


def graded(ties: bool) -> tuple[Qrels, Run]:
    draw = np.random.default_rng(7)
    documents = np.array([f"d{i}" for i in range(3000)])
    qrels: Qrels = {}
    run: Run = {}
    for i in range(40):
        judged = draw.choice(documents[:1500], 12, replace=False)
        qrels[f"q{i}"] = {str(d): int(g) for d, g in zip(judged, draw.integers(0, 4, 12), strict=True)}
        scores = draw.integers(0, 20, 1200) / 7 if ties else draw.permutation(1200) / 7
        found = draw.choice(documents, 1200, replace=False)
        run[f"q{i}"] = {str(d): float(np.float32(s)) for d, s in zip(found, scores, strict=True)}
    qrels["q0"] = dict.fromkeys(qrels["q0"], 0)  # nothing relevant
    return qrels, run


@pytest.mark.parametrize("ties", [False, True])
def test_equals_beir(ties: bool) -> None:
    evaluation = pytest.importorskip("beir.retrieval.evaluation").EvaluateRetrieval
    qrels, run = graded(ties)
    grades = {grade for judged in qrels.values() for grade in judged.values()}
    assert grades == {0, 1, 2, 3}
    assert any(len(set(scores.values())) < len(scores) for scores in run.values()) == ties
    means = mean_scores(qrels, run)
    values = evaluation.evaluate(qrels, run, [1, 3, 5, 10, 100, 1000])
    theirs = {name: value for group in values for name, value in group.items()}
    named = {name: name.upper().replace("RECALL", "Recall") for name in MEASURES if name != "MRR@10"}
    assert {name: round(means[name], 5) for name in named} == {name: theirs[other] for name, other in named.items()}
    if not ties:  # BEIR's MRR leaves ties in the order of the run
        assert round(means["MRR@10"], 5) == evaluation.evaluate_custom(qrels, run, [10], "mrr")["MRR@10"]


@pytest.mark.parametrize("ties", [False, True])
def test_each_query_equals_trec_eval(ties: bool) -> None:
    qrels, run = graded(ties)
    engine = {"nDCG": "ndcg_cut", "MAP": "map_cut", "Recall": "recall", "P": "P"}
    families = [(name, *name.split("@")) for name in MEASURES if name != "MRR@10"]
    names = {name: f"{engine[family]}_{cut}" for name, family, cut in families} | {"MRR@10": "recip_rank"}
    asked = {f"{engine[family]}.{cut}" for _, family, cut in families} | {"recip_rank"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    scores = score(qrels, run)
    assert scores.queries == list(qrels)
    assert set(scores.values) == set(MEASURES) == set(names)
    for name, theirs in names.items():
        for query, value in zip(scores.queries, scores.values[name], strict=True):
            wanted = expected[query][theirs]
            if name == "MRR@10" and wanted < 1 / 10:
                wanted = 0.0
            assert value == pytest.approx(wanted, abs=1e-9), (name, query)


def test_by_hand() -> None:
    qrels = {"a": {"x": 2, "y": 1}, "b": {"x": 1}}
    run = {"a": {"y": 3.0, "z": 2.0, "x": 1.0}, "b": {"x": 1.0}}
    gain = (1 + 2 / np.log2(4)) / (2 + 1 / np.log2(3))
    assert score(qrels, run).values["nDCG@10"] == pytest.approx([gain, 1.0])
    assert score(qrels, run).values["MAP@100"] == pytest.approx([(1 + 2 / 3) / 2, 1.0])


def test_ties_go_to_the_higher_id_in_every_measure() -> None:
    qrels = {"q": {"a": 1}}
    run = {"q": {"a": 1.0, "b": 1.0}}
    assert mean_scores(qrels, run, ["MRR@10", "RR", "MAP@100", "P@1"]) == {
        "MRR@10": 0.5,
        "RR": 0.5,
        "MAP@100": 0.5,
        "P@1": 0.0,
    }


def test_judged_queries_without_documents_count_zero_and_others_do_not_count() -> None:
    qrels = {"found": {"x": 1}, "nothing": {"x": 1}, "missing": {"x": 1}}
    run = {"found": {"x": 1.0}, "nothing": {}, "unjudged": {"x": 1.0}}
    scores = score(qrels, run)
    assert scores.queries == ["found", "nothing", "missing"]
    for name in MEASURES:
        found = 0.1 if name == "P@10" else 1.0
        assert scores.values[name] == pytest.approx([found, 0.0, 0.0])
        assert scores.means()[name] == pytest.approx(found / 3)


def test_depth_is_the_deepest_cutoff() -> None:
    assert max(int(name.partition("@")[2]) for name in MEASURES) == DEPTH


@pytest.mark.parametrize("name", ["nope", "nDCG@ten", "nDCG@("])
def test_unknown_measures_are_named(name: str) -> None:
    with pytest.raises(UserError, match="measure 'n"):
        score({"q": {"x": 1}}, {}, [name])


def by_definition(judged: dict[str, int], scores: dict[str, float]) -> dict[str, float]:
    """nDCG@10, MRR@10, Recall@10, MAP@100 and P@10 of one query, from their definitions."""
    ranked = [d for d, _ in sorted(scores.items(), key=lambda one: (one[1], one[0]), reverse=True)]
    gains = [max(0, judged.get(document, 0)) for document in ranked]
    ideal = sorted((max(0, grade) for grade in judged.values()), reverse=True)
    discount = [1 / np.log2(place + 2) for place in range(10)]
    best = sum(gain * d for gain, d in zip(ideal[:10], discount, strict=False))
    relevant = sum(grade > 0 for grade in ideal)
    hits = np.cumsum([gain > 0 for gain in gains])
    precisions = [hits[place] / (place + 1) for place, gain in enumerate(gains[:100]) if gain > 0]
    return {
        "nDCG@10": sum(g * d for g, d in zip(gains[:10], discount, strict=False)) / best if best else 0.0,
        "MRR@10": next((1 / (place + 1) for place, gain in enumerate(gains[:10]) if gain > 0), 0.0),
        "Recall@10": sum(gain > 0 for gain in gains[:10]) / relevant if relevant else 0.0,
        "MAP@100": sum(precisions) / relevant if relevant else 0.0,
        "P@10": sum(gain > 0 for gain in gains[:10]) / 10,
    }


def test_random_judgements_and_runs_score_by_definition() -> None:
    """Negative grades (of -2 or less, which pytrec_eval alone does not survive), ties, documents that are not there."""
    draw = np.random.default_rng(0)
    for _ in range(300):
        documents = [f"d{i}" if draw.random() < 0.5 else str(7 * i) for i in range(draw.integers(1, 150))]
        qrels, run = {}, {}
        for query in range(draw.integers(1, 5)):
            judged = draw.choice([*documents, "gone 1", "gone 2"], draw.integers(1, 12))
            qrels[f"q{query}"] = {str(d): int(draw.choice([-99, -2, -1, 0, 0, 1, 1, 2, 3])) for d in judged}
            found = draw.choice(documents, draw.integers(0, len(documents) + 1), replace=False)
            run[f"q{query}"] = {str(d): float(draw.choice([1, 2, 2, 3, -5, draw.random()])) for d in found}
        expected = [by_definition(judged, run[query]) for query, judged in qrels.items()]
        scores = score(qrels, run)
        for name in expected[0]:
            assert scores.values[name] == pytest.approx([one[name] for one in expected], abs=1e-5)
