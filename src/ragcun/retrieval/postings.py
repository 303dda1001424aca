"""The postings of a corpus on disk, in segments, weighted by BM25 with the statistics of the whole corpus.

Memory is limited by the size of a segment; only the vocabulary and four bytes per document grow with the corpus.

Shapes: N documents, V words of the vocabulary, P postings of a segment.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s
import numpy as np
import numpy.typing as npt

from ragcun.retrieval.topk import Floats

SEGMENT = 4_000_000  # words, about 250 MiB while they are sorted
_EXACT = 24  # smaller lengths are stored exactly


class Segment:
    """Consecutive documents of the corpus, from row `start` on, with the weights of their words."""

    def __init__(self, start: int, documents: int, index: bm25s.BM25) -> None:
        self.start = start
        self._documents = documents
        self._index = index

    def __len__(self) -> int:
        return self._documents

    def scores(self, words: list[int], exclude: int) -> Floats:
        """Return each document's score for a query of these words, (len,); 0 for the row `exclude` of the corpus."""
        scores: Floats = self._index.get_scores_from_ids(words)
        if self.start <= exclude < self.start + len(self):
            scores[exclude - self.start] = 0
        return scores


def stored_length(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Round documents' lengths to the values of one byte, as Lucene's SmallFloat.intToByte4 and byte4ToInt do.

    Lengths up to 24 are exact. Of a larger length, the four highest bits of the excess are kept.
    """
    more = np.maximum(lengths - _EXACT, 0)
    _, bits = np.frexp(more.astype(np.float64))
    dropped = np.maximum(bits - 4, 0)
    return np.asarray(np.minimum(lengths, _EXACT) + (more >> dropped << dropped), dtype=np.int32)


class Postings:
    """The counts of words in documents. The files exist within a `with` block."""

    def __init__(self) -> None:
        self._words = array("i")  # the words of the documents since the last segment
        self._lengths = array("i")
        self._holding_V = np.zeros(0, dtype=np.int64)
        self._starts = [0]

    def __enter__(self) -> "Postings":
        self._folder = TemporaryDirectory(prefix="ragcun-bm25-")
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def add(self, words: Iterable[int]) -> None:
        """Add a document by the numbers of its words, each below 2**31."""
        before = len(self._words)
        self._words.extend(words)
        self._lengths.append(len(self._words) - before)
        if len(self._words) >= SEGMENT:
            self._spool()

    def segments(self, k1: float, b: float) -> Iterator[Segment]:
        """Yield all documents with the weights of Lucene's BM25Similarity. No document can be added afterwards."""
        if len(self._lengths) > self._starts[-1]:
            self._spool()
        lengths_N, holding_V = np.frombuffer(self._lengths, dtype=np.int32), self._holding_V
        n = np.count_nonzero(lengths_N)  # Lucene does not count documents without words
        idf_V = np.log1p((n - holding_V + 0.5) / (holding_V + 0.5))
        mean = max(lengths_N.sum() / max(n, 1), 1e-9)
        norms_N = k1 * (1 - b + b * stored_length(lengths_N) / mean)
        for start, stop in pairwise(self._starts):
            word_P, document_P, count_P = np.load(self._file(start))
            weights_P = idf_V[word_P] * count_P / (count_P + norms_N[start:stop][document_P])
            index = bm25s.BM25()
            index.scores = {
                "data": weights_P.astype(np.float32),
                "indices": document_P,
                "indptr": np.concatenate([[0], np.cumsum(np.bincount(word_P, minlength=len(idf_V)))]),
                "num_docs": stop - start,
            }
            index.nonoccurrence_array = None
            yield Segment(start, stop - start, index)

    def _spool(self) -> None:
        start = self._starts[-1]
        lengths = np.array(self._lengths[start:], dtype=np.int32)
        documents = np.repeat(np.arange(len(lengths)), lengths)
        pairs_P, count_P = np.unique(np.array(self._words, dtype=np.int64) << 32 | documents, return_counts=True)
        word_P = (pairs_P >> 32).astype(np.int32)
        holding_V = np.bincount(word_P, minlength=len(self._holding_V))
        holding_V[: len(self._holding_V)] += self._holding_V
        self._holding_V = holding_V
        np.save(self._file(start), np.stack([word_P, pairs_P.astype(np.int32), count_P.astype(np.int32)]))
        self._starts.append(len(self._lengths))
        self._words = array("i")

    def _file(self, start: int) -> Path:
        return Path(self._folder.name) / f"{start}.npy"
