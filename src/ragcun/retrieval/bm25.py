"""BM25 as Pyserini's published BEIR figures have it: Lucene's formula, its English analyser, title and text as one."""

import math
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN

from ragcun.console import progress
from ragcun.data.texts import Texts
from ragcun.errors import UserError
from ragcun.retrieval.postings import Postings
from ragcun.retrieval.topk import EMPTY, Rows, TopK, best, inverse, pack, unpack

K1 = 0.9
B = 0.4

# Words as Unicode's word boundaries (UAX 29) cut them: an apostrophe or full stop joins letters, a comma digits.
_WORD = re.compile(r"\w+(?:(?<=[^\W\d_])['’.:](?=[^\W\d_])\w+|(?<=\d)['’.,;](?=\d)\w+)*")
_STOP_WORDS = frozenset(STOPWORDS_EN)  # Lucene's 33


class BM25:
    """Okapi BM25 (Robertson and Zaragoza 2009) through bm25s. A retriever.

    Words are lower-cased, rid of a possessive 's and of Lucene's English stop words, and stemmed by Porter's algorithm.
    A document that shares no word with the query is not returned.

    Args:
        k1: how much a word's further occurrences count, 0 or more.
        b: how much a document's length does, 0 to 1.

    Raises:
        UserError: k1 or b is out of its range.
    """

    def __init__(self, k1: float = K1, b: float = B) -> None:
        if not (0 <= k1 < math.inf and 0 <= b <= 1):
            raise UserError(f"bm25: k1 = {k1} and b = {b}, but k1 must be 0 or more and b from 0 to 1")
        self.label = "BM25" if (k1, b) == (K1, B) else f"BM25 (k1 = {k1:g}, b = {b:g})"
        self._k1 = k1
        self._b = b

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """The k best documents of each query; arguments and result as those of `search.search`."""
        words = _Words()
        keys_QK = np.full((len(queries), k), EMPTY)
        with Postings() as postings:
            with progress("indexing for BM25", len(corpus), "documents") as bar:
                for text in corpus:
                    postings.add(words.learn(text))
                    bar.advance()
            asked = [list(words.known(text)) for text in queries]
            with progress("searching with BM25", len(corpus), "documents") as bar:
                for segment in postings.segments(self._k1, self._b):
                    for query in [query for query, numbers in enumerate(asked) if numbers]:
                        scores = segment.scores(asked[query], exclude[query])
                        found = np.flatnonzero(scores)
                        keys = pack(scores[found], id_ranks[segment.start + found])
                        keys_QK[query] = best(np.concatenate([keys_QK[query], keys])[None], k)[0]
                    bar.advance(len(segment))
        scores_QK, place_QK = unpack(keys_QK)
        return TopK(scores_QK, np.where(place_QK < 0, -1, inverse(id_ranks)[place_QK]))

    def describe(self) -> dict[str, Any]:
        """Everything that determines the ranking; JSON."""
        return {
            "model": "BM25",
            "k1": self._k1,
            "b": self._b,
            "formula": "lucene",
            "stemmer": "porter",
            "stop_words": "Lucene's English 33",
            "title": "joined with the text",
            "versions": {name: version(name) for name in ("bm25s", "pystemmer")},
        }


class _Words:
    """Texts as the numbers of their stems."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self._stem = Stemmer.Stemmer("porter").stemWord
        self._stems: dict[str, str | None] = {}

    def learn(self, text: str) -> Iterator[int]:
        """The numbers of a document's stems; new ones get the next number."""
        vocabulary = self.vocabulary
        return (vocabulary.setdefault(stem, len(vocabulary)) for stem in self._stemmed(text))

    def known(self, text: str) -> Iterator[int]:
        """The numbers of those of a query's stems that occur in a document."""
        return (self.vocabulary[stem] for stem in self._stemmed(text) if stem in self.vocabulary)

    def _stemmed(self, text: str) -> Iterator[str]:
        for word in _WORD.findall(text.lower()):
            if word not in self._stems:
                bare = word[:-2] if word.endswith(("'s", "’s")) else word
                self._stems[word] = None if bare in _STOP_WORDS else self._stem(bare)
            if (stem := self._stems[word]) is not None:
                yield stem
