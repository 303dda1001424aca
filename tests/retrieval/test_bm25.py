"""BM25 by its formula, on words as Lucene's English analyser gives them, and by its published figures."""

import math

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcun.errors import UserError
from ragcun.retrieval import bm25, postings, words
from ragcun.retrieval.bm25 import BM25, K1, B, _Terms
from ragcun.retrieval.porter import stem
from ragcun.retrieval.postings import stored_length
from ragcun.retrieval.topk import TopK
from ragcun.retrieval.words import tokenize


def rank(corpus: list[str], queries: list[str], k: int, exclude: list[int] | None = None) -> TopK:
    hidden = np.array(exclude if exclude is not None else [-1] * len(queries))
    return BM25().rank(corpus, queries, k, np.arange(len(corpus)), hidden)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's running, and the dogs' runs.", ["cat", "run", "dog", "run"]),
        ("It’s 3.14 or 1,000 of U.S.A. x", ["3.14", "1,000", "u.s.a", "x"]),
        ("IL-6_receptor p53 NOT that", ["il", "6_receptor", "p53"]),
        ("Δρ naïve Übung ΟΔΟΣ İz", ["δρ", "naïv", "übung", "οδοσ", "iz"]),
        ("_____ a_b _1 ½ 1½ © ... ?!", ["a_b", "_1", "1"]),
        ("a.1 x:y can't 1.a", ["1", "x:y", "can't", "1"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("我是中国人。ひらカタカナ 한국어", [*"我是中国人ひら", "カタカナ", "한국어"]),
        ('カabc カ_b สวัสดี א"ב', ["カ", "abc", "カ_b", "สวัสดี", 'א"ב']),
        ("😀 👍🏽👨‍👩‍👧 🇩🇪🇫🇷 #️⃣", ["😀", "👍🏽", "👨‍👩‍👧", "🇩🇪", "🇫🇷", "#️⃣"]),
        ("b" * 300, ["b" * 255, "b" * 45]),
    ],
)
def test_terms_are_those_of_lucenes_english_analyser(text: str, expected: list[str]) -> None:
    terms = _Terms("english")
    numbers = list(terms.learn(text))
    assert [list(terms.vocabulary)[number] for number in numbers] == expected
    assert terms.known(text) == numbers


@given(st.lists(st.text("aZ1_.,:;'\"#*-()\n é’\u0308א中カ😀\u200d"), max_size=6))
def test_words_are_the_same_wherever_ascii_ends(pieces: list[str]) -> None:
    text = " ".join(pieces)
    expected = words._UNICODE.findall(text)
    assert tokenize(text) == expected
    assert [word for piece in words.pieces(text) for word in tokenize(piece.decode())] == expected


# Of each rule one, from Porter's paper; then the departures from it, and what is left alone.
STEMS = """
caresses:caress ponies:poni cats:cat feed:feed agreed:agre plastered:plaster motoring:motor conflated:conflat
troubled:troubl sized:size hopping:hop falling:fall filing:file happy:happi sky:sky relational:relat rational:ration
conditional:condit valenci:valenc digitizer:digit radicalli:radic triplicate:triplic formative:form goodness:good
revival:reviv adoption:adopt homologous:homolog probate:probat rate:rate cease:ceas controll:control roll:roll
possibly:possibl mycology:mycolog biology:biologi as:as by:by
"""


@pytest.mark.parametrize("case", STEMS.split())
def test_stems_are_those_of_lucenes_porter(case: str) -> None:
    word, expected = case.split(":")
    assert stem(word) == expected


def test_lengths_are_stored_in_a_byte_as_lucene_stores_them() -> None:
    lengths = np.arange(200_000, dtype=np.int32)
    stored = stored_length(lengths)
    assert stored[:40].tolist() == list(range(40))
    assert stored[[40, 41, 42, 56, 60, 1_000]].tolist() == [40, 40, 42, 56, 60, 984]
    assert (np.diff(stored) >= 0).all()
    assert (stored <= lengths).all()
    assert len(np.unique(stored_length(np.arange(2**24, dtype=np.int32)))) <= 256


def test_another_language_has_its_stemmer_and_stop_words() -> None:
    corpus = ["Die Häuser der Stadt", "the houses of a city"]
    german = BM25(language="german")
    assert german.label == "BM25 (language = german)"
    every = (np.arange(2), np.full(2, -1))
    assert german.rank(corpus, ["das Haus", "der"], 1, *every).rows.tolist() == [[0], [-1]]
    assert BM25().rank(corpus, ["das Haus", "the"], 1, *every).rows.tolist() == [[-1], [-1]]
    with pytest.raises(UserError, match=r"language = 'klingon' is unknown; choose one of arabic, .*german"):
        BM25(language="klingon")


def test_queries_in_another_language_than_the_corpus_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    rank(["red fox", "blue whale"], ["renard", "baleine", "red"], 1)
    assert "2 of 3 queries share no word with the corpus" in " ".join(capsys.readouterr().err.split())
    rank(["red fox", "blue whale"], ["renard", "red"], 1)
    assert "share no word" not in capsys.readouterr().err


def test_scores_are_the_formula() -> None:
    corpus = ["red fox", "red red wolf in snow", "blue whale", ""]
    found = rank(corpus, ["red wolf"], 4)
    mean = (2 + 4 + 2) / 3  # the document without words does not count

    def part(frequency: int, length: int, holding: int) -> float:
        idf = math.log(1 + (3 - holding + 0.5) / (holding + 0.5))
        return idf * frequency / (frequency + K1 * (1 - B + B * length / mean))

    assert found.rows.tolist() == [[1, 0, -1, -1]]
    assert found.scores[0, 0] == pytest.approx(part(2, 4, 2) + part(1, 4, 1), rel=1e-6)
    assert found.scores[0, 1] == pytest.approx(part(1, 2, 2), rel=1e-6)
    assert np.isneginf(found.scores[0, 2:]).all()


def test_stretches_and_memories_of_any_size_give_what_bm25s_gives_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    letters = np.array([*"abcdefghij", "", "the"])
    corpus = [
        " ".join(f"{word}{word}x" for word in draw.choice(letters, draw.integers(1, 9))) + " aax" for _ in range(60)
    ]
    queries, exclude = ["aax bbx", "ccx ccx zzx", "the", "jjx"], [3, -1, 5, 59]
    whole = rank(corpus, queries, 70, exclude)
    terms = _Terms("english")
    ids = [list(terms.learn(text)) for text in corpus]
    index = bm25s.BM25(k1=K1, b=B, method="lucene")
    index.index((ids, terms.vocabulary), create_empty_token=False, show_progress=False)
    for query, text in enumerate(queries):
        numbers = list(terms.known(text))
        expected = index.get_scores_from_ids(numbers) if numbers else np.zeros(60)
        expected[exclude[query]] *= exclude[query] < 0
        found = dict(zip(whole.rows[query].tolist(), whole.scores[query].tolist(), strict=True))
        assert found.pop(-1) == -np.inf
        assert found == pytest.approx({row: score for row, score in enumerate(expected.tolist()) if score}, rel=1e-5)
    assert len(found) > 5
    for words_of_one in (1, 7, 50):
        monkeypatch.setattr(postings, "SEGMENT", words_of_one)
        monkeypatch.setattr(bm25, "REMEMBERED", words_of_one)
        parts = rank(corpus, queries, 70, exclude)
        assert parts.rows.tolist() == whole.rows.tolist()
        assert parts.scores.tolist() == whole.scores.tolist()


def test_ties_go_to_the_lower_id_in_every_tool_and_own_documents_are_hidden() -> None:
    corpus = ["same words here"] * 6
    found = rank(corpus, ["words"], 3)
    assert found.rows.tolist() == [[0, 1, 2]]
    assert found.scores[0].tolist() == sorted(set(found.scores[0].tolist()), reverse=True)
    assert found.scores[0, 2] == pytest.approx(found.scores[0, 0], rel=1e-6)
    assert rank(corpus, ["words"], 3, exclude=[1]).rows.tolist() == [[0, 2, 3]]


@pytest.mark.parametrize("corpus", [["the of and", ""], ["", ""], ["whale"]])
def test_queries_without_a_shared_word_find_nothing(corpus: list[str]) -> None:
    found = rank(corpus, ["the", "fox", ""], 2)
    assert (found.rows == -1).all()
