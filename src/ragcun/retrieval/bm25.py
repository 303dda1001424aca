"""BM25 as in Pyserini's published BEIR scores: Lucene's formula and English analyser, title joined with the text."""

import math
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np

from ragcun.console import progress, warn
from ragcun.data.texts import Texts
from ragcun.errors import UserError
from ragcun.retrieval.postings import Postings
from ragcun.retrieval.topk import EMPTY, Rows, TopK, best, pack, to_rows
from ragcun.retrieval.words import ENGLISH, LANGUAGES, LONGEST, analyser, pieces, stop_words_of, tokenize

K1 = 0.9
B = 0.4
REMEMBERED = 1_000_000  # pieces of text whose terms are cached, about 200 MiB

_LEAST = np.finfo(np.float32).smallest_subnormal  # the smallest score above 0


class BM25:
    """Okapi BM25 (Robertson and Zaragoza 2009) as Lucene's BM25Similarity computes it, through bm25s. A retriever.

    A document's length is rounded to the byte that Lucene stores. A document that shares no word with the query is not
    returned.

    Args:
        k1: the saturation of term frequency, 0 or more.
        b: the strength of length normalisation, 0 to 1.
        language: the language of stemmer and stop words, one of `words.LANGUAGES`.

    Raises:
        UserError: k1 or b is out of its range, or there is no such language.
    """

    def __init__(self, k1: float = K1, b: float = B, language: str = ENGLISH) -> None:
        if not (0 <= k1 < math.inf and 0 <= b <= 1):
            raise UserError(f"bm25: k1 = {k1} and b = {b}, but k1 must be 0 or more and b from 0 to 1")
        if language not in LANGUAGES:
            raise UserError(f"bm25: language = {language!r} is unknown; choose one of {', '.join(LANGUAGES)}")
        shown = [f"k1 = {k1:g}", f"b = {b:g}"] if (k1, b) != (K1, B) else []
        shown += [f"language = {language}"] if language != ENGLISH else []
        self.label = "BM25" + (f" ({', '.join(shown)})" if shown else "")
        self._k1 = k1
        self._b = b
        self._language = language

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """Return the k best documents of each query; arguments and result are those of `search.search`, except ties.

        Of documents with equal scores, the one with the lower id is first, as in Anserini. Each score is reduced below
        the one before it, as in Anserini (here by the smallest step of float32), so that trec_eval has the same order.
        """
        id_ranks = len(id_ranks) - 1 - id_ranks  # lower ids come first
        terms = _Terms(self._language)
        keys_QK = np.full((len(queries), k), EMPTY)
        with Postings() as postings:
            with progress("indexing for BM25", len(corpus), "documents") as bar:
                for text in corpus:
                    postings.add(terms.learn(text))
                    bar.advance()
            asked = [terms.known(text) for text in queries]
            strangers = sum(not numbers for numbers in asked)
            if 2 * strangers > len(asked):
                warn(
                    f"{self.label}: {strangers:,} of {len(asked):,} queries share no word with the corpus and "
                    "find nothing; check that both are in the language given by bm25:language=..."
                )
            with progress("searching with BM25", len(corpus), "documents") as bar:
                for segment in postings.segments(self._k1, self._b):
                    for query in [query for query, numbers in enumerate(asked) if numbers]:
                        scores = segment.scores(asked[query], exclude[query])
                        least = np.partition(scores, -k)[-k] if k < len(scores) else 0
                        found = np.flatnonzero(scores >= max(least, _LEAST))
                        keys = pack(scores[found], id_ranks[segment.start + found])
                        keys_QK[query] = best(np.concatenate([keys_QK[query], keys])[None], k)[0]
                    bar.advance(len(segment))
        top = to_rows(keys_QK, id_ranks)
        for column in range(1, k):
            below = np.nextafter(top.scores[:, column - 1], np.float32(-np.inf))
            np.minimum(top.scores[:, column], below, out=top.scores[:, column])
        return top

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the ranking, as JSON."""
        return {
            "model": "BM25",
            "k1": self._k1,
            "b": self._b,
            "formula": "lucene",
            "length": "in a byte, as Lucene stores it",
            "words": "Unicode's (UAX 29), as Lucene's StandardTokenizer cuts them",
            "language": self._language,
            "stemmer": "Lucene's Porter" if self._language == ENGLISH else "Snowball's",
            "stop_words": stop_words_of(self._language),
            "ties": "the lower id first",
            "title": "joined with the text",
            "versions": {name: version(name) for name in ("bm25s", "pystemmer", "regex")},
        }


class _Terms:
    """A vocabulary that maps texts to numbers of terms."""

    def __init__(self, language: str) -> None:
        self.vocabulary: dict[str, int] = {}
        self._analyse = analyser(language)
        self._numbers = _Numbers(self)

    def learn(self, text: str) -> "chain[int]":
        """Return the numbers of a document's terms; new terms get the next number."""
        return chain.from_iterable(map(self._numbers.__getitem__, pieces(text)))

    def known(self, text: str) -> list[int]:
        """Return the numbers of a query's terms that occur in a document."""
        numbers: list[int] = []
        for piece in pieces(text):
            if piece in self._numbers:
                numbers += self._numbers[piece]
            else:
                numbers += [self.vocabulary[term] for term in self.of(piece) if term in self.vocabulary]
        return numbers

    def of(self, piece: bytes) -> list[str]:
        """Return the terms of a piece of text: none for a stop word, several for a word that is too long."""
        words = tokenize(piece.decode())
        parts = [word[start : start + LONGEST] for word in words for start in range(0, len(word), LONGEST)]
        return [term for term in map(self._analyse, parts) if term]


class _Numbers(dict[bytes, tuple[int, ...]]):
    """A cache of the numbers of each piece's terms, which is limited in size."""

    def __init__(self, terms: _Terms) -> None:
        super().__init__()
        self._terms = terms

    def __missing__(self, piece: bytes) -> tuple[int, ...]:
        bare = piece.strip(b'.,:;"')  # these characters belong to a word only inside it
        if bare != piece:
            numbers = self[bare]
        else:
            vocabulary = self._terms.vocabulary
            numbers = tuple([vocabulary.setdefault(term, len(vocabulary)) for term in self._terms.of(piece)])
        if len(self) >= REMEMBERED:
            self.clear()
        self[piece] = numbers
        return numbers
