"""The registry of claims; to add a claim, add an entry to `CLAIMS`.

Each entry was declared, with its rule and margin, before it was measured. The statements of papers were read in
abstracts that search engines and mirrors keep (28 November 2026; arXiv itself could not be reached). An entry whose
abstract was not available either says so and quotes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ragcun.analysis.geometry import sample_rows
from ragcun.analysis.isotropy import centred, participation_ratio, principal_axes, unit_rows
from ragcun.analysis.treatment import ROWS, checked_gaussian
from ragcun.claims import transforms
from ragcun.claims.transforms import Axes, Pair
from ragcun.claims.verdict import Rule
from ragcun.errors import UserError, did_you_mean
from ragcun.evaluation.statistics import Doubles

if TYPE_CHECKING:
    from ragcun.claims.bench import Bench, Place

POINT = 0.005  # half a point of nDCG@10: smaller differences do not matter
_POWERS = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
_DIRECTIONS, _SAMPLE = 200, 1_000
CHECK = f"participation ratio of at most {ROWS:,} documents over N(0, I)'s, mean over collections"

Measured = Sequence[Doubles] | Sequence[float]


@dataclass(frozen=True)
class Claim:
    """A claim that can be tested.

    Attributes:
        key: name of the claim in commands and files.
        claimed: the claim in one sentence.
        source: authors and arXiv id.
        read: where the statement was read.
        holds_for: the models and tasks that it is claimed for.
        operation: how it is measured here, and which part of the claim is not measured.
        rule, margin: rule and margin of the verdict; see `verdict`.
        heads: whether it needs trained heads.
        measure: returns for each collection the differences of queries, (Q,), or one value.
        moved: returns the effect of the treatment on isotropy (see `CHECK`); None if the claim does not name isotropy
            as the cause.
    """

    key: str
    claimed: str
    source: str
    read: str
    holds_for: str
    operation: str
    rule: Rule
    margin: float
    heads: bool
    measure: Callable[["Bench"], Measured]
    moved: Callable[["Bench"], float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the claim as JSON values."""
        return {name: value for name, value in vars(self).items() if name not in {"measure", "moved"}}


def _each(measure: Callable[["Place"], Doubles | float]) -> Callable[["Bench"], Measured]:
    def of(bench: "Bench") -> Measured:
        return [measure(place) for place in bench.places]  # type: ignore[return-value]

    return of


def _euclidean(place: "Place", pair: Pair) -> Doubles:
    return place.ndcg(pair, "euclidean")


def _between(first: str, second: str) -> Callable[["Bench"], Measured]:
    """Return nDCG@10 of the first head minus that of the second, by Euclidean distance, as means over seeds."""

    def of(bench: "Bench") -> Measured:
        pairs = zip(bench.over_seeds(first, _euclidean), bench.over_seeds(second, _euclidean), strict=True)
        return [a - b for a, b in pairs]

    return of


def _guide_gain(bench: "Bench") -> Measured:
    found = bench.over_seeds("sigreg", _euclidean)
    return [one - place.plain for one, place in zip(found, bench.places, strict=True)]


def _within_head(
    first: Callable[["Place", Pair], Doubles], second: Callable[["Place", Pair], Doubles], name: str
) -> Callable[["Bench"], Measured]:
    return lambda bench: bench.over_seeds(name, lambda place, pair: first(place, pair) - second(place, pair))


def _powers(place: "Place", first: float, second: float, share: float = 1.0) -> Doubles:
    keep = max(1, round(share * place.base[1].shape[1]))
    of = [place.ndcg(transforms.spectral(place.base, place.axes, power, keep), "cosine") for power in (first, second)]
    return np.asarray(of[0] - of[1])


def _rank_correlation(place: "Place") -> float:
    """Return Spearman's correlation of participation ratio and nDCG@10 over spectral powers; 0 if one is constant."""
    from scipy import stats

    ratios = [participation_ratio(place.axes.variances ** (1 - power)) for power in _POWERS]
    scores = [place.ndcg(transforms.spectral(place.base, place.axes, power), "cosine").mean() for power in _POWERS]
    if np.ptp(ratios) == 0 or np.ptp(scores) == 0:
        return 0.0
    return float(stats.spearmanr(ratios, scores).statistic)


def _not_normal(_: "Place", pair: Pair) -> float:
    """Return the share of random directions in which documents fail D'Agostino and Pearson's test (5 percent)."""
    from scipy import stats

    generator = np.random.default_rng(0)
    rows = generator.permutation(len(pair[1]))[:_SAMPLE]
    directions = generator.standard_normal((pair[1].shape[1], _DIRECTIONS))
    projected = pair[1][rows].astype(np.float64) @ directions
    if len(rows) < 20:
        return 0.0
    return float((stats.normaltest(projected).pvalue < 0.05).mean())


def _isotropy(_: "Place", pair: Pair) -> float:
    rows = sample_rows(len(pair[1]), ROWS, 0)
    variances, _axes = principal_axes(centred(pair[1][rows].astype(np.float64)))
    return participation_ratio(variances) / checked_gaussian(len(rows), pair[1].shape[1])["participation_ratio"]


def _moved(name: str) -> Callable[["Bench"], float]:
    """Return a function that gives the effect of the treatment of a head on isotropy, as a mean over collections."""

    def of(bench: "Bench") -> float:
        return float(np.mean(bench.over_seeds(name, _isotropy)) - np.mean(bench.over_seeds("plain", _isotropy)))

    return of


def _truncated(place: "Place", pair: Pair) -> Doubles:
    keep = max(1, pair[1].shape[1] // 4)
    found = Axes.of(pair[1])
    return place.ndcg(transforms.spectral(pair, found, 0.0, keep), "euclidean") - _euclidean(place, pair)


def _quantised(place: "Place", pair: Pair) -> Doubles:
    queries, documents = (x - pair[1].mean(0) for x in pair)
    signs = np.where(documents >= 0, np.float32(1), np.float32(-1))
    return place.ndcg((queries, signs), "dot") - _euclidean(place, pair)


def _loss_of(lost: Callable[["Place", Pair], Doubles]) -> Callable[["Bench"], Measured]:
    """Return a function that gives the loss of the plain head minus that of the regularised one, for each query."""

    def of(bench: "Bench") -> Measured:
        pairs = zip(bench.over_seeds("gor", lost), bench.over_seeds("plain", lost), strict=True)
        return [a - b for a, b in pairs]

    return of


def _rotation(place: "Place") -> Doubles:
    queries, documents = transforms.rotated(place.base)
    codes = place.ndcg((queries, transforms.one_bit(documents)), "dot")
    return codes - place.ndcg(transforms.signs(place.base), "dot")


def _whitened_reranking(place: "Place") -> Doubles:
    white = transforms.spectral(place.base, place.axes, 1.0)
    return place.reranked(white, "cosine") - place.reranked(place.base, place.similarity)


def _one_side(place: "Place", pair: Pair) -> Doubles:
    queries, documents = pair
    unit = unit_rows(queries.astype(np.float64)).astype(np.float32)
    return place.ndcg((unit, documents), "dot") - place.ndcg(pair, "cosine")


_ABSTRACT = "abstract, read in a search engine's copy"

CLAIMS = (
    Claim(
        "isotropic-gaussian",
        "The isotropic Gaussian is the optimal distribution of embeddings for minimal downstream prediction risk.",
        "Balestriero and LeCun, 2511.08544",
        _ABSTRACT,
        "embeddings of any downstream task, proved for linear and nearest-neighbour probes",
        "nDCG@10 of heads trained with SIGReg and a covariance term minus that of heads with neither, by Euclidean "
        "distance. Retrieval represents downstream use; the proof does not name retrieval.",
        "helps",
        POINT,
        True,
        _between("isotropic", "plain"),
        moved=_moved("isotropic"),
    ),
    Claim(
        "infonce-gaussian",
        "The InfoNCE objective alone makes representations approximately Gaussian.",
        "Betser, Gofer, Levi and Gilboa, 2602.24012",
        _ABSTRACT,
        "contrastively trained representations, asymptotically",
        "Share of 200 random directions in which up to 1,000 documents, embedded by heads trained with InfoNCE alone, "
        "fail D'Agostino and Pearson's test of normality at 5%; a Gaussian fails in 5%. The sample is the collections.",
        "below",
        0.1,
        True,
        lambda bench: [float(value) for value in bench.over_seeds("plain", _not_normal)],
    ),
    Claim(
        "regulariser-redundant",
        "Because InfoNCE makes embeddings Gaussian, a regulariser for that purpose is redundant.",
        "this project's inference from Betser et al., 2602.24012; the abstract does not state it",
        _ABSTRACT,
        "contrastive training",
        "Heads with SIGReg and heads without it are equivalent in nDCG@10.",
        "equal",
        POINT,
        True,
        _between("sigreg", "plain"),
        moved=_moved("sigreg"),
    ),
    Claim(
        "less-isotropy",
        "Decreasing isotropy improves performance on most tasks.",
        "Rudman and Eickhoff, 2305.19358",
        _ABSTRACT,
        "fine-tuned language models on classification and similarity",
        "nDCG@10 with a sharpened spectrum (power -0.25) minus that with a flattened one (power 0.25), by cosine. "
        "This post-processes a frozen base, whereas the paper regularises training.",
        "helps",
        POINT,
        False,
        _each(lambda place: _powers(place, -0.25, 0.25)),
    ),
    Claim(
        "isotropy-unrelated",
        "Isotropy does not explain retrieval performance.",
        "2406.12336, as other papers report it",
        "not read: neither the paper nor its abstract was found, so nothing is quoted",
        "dense retrieval",
        "Spearman's correlation, over seven spectral powers from -0.5 to 1, of the participation ratio with nDCG@10; "
        "the mean over collections is equivalent to 0 within 0.3.",
        "equal",
        0.3,
        False,
        _each(_rank_correlation),
    ),
    Claim(
        "isotropy-reranks",
        "Isotropic post-processing (whitening, normalizing flow) improves re-ranking by dense retrievers.",
        "Jung, Park, Choi, Kim and Rhee, 2209.00218",
        _ABSTRACT,
        "ColBERT and RepBERT, re-ranking",
        "nDCG@10 after re-ranking BM25's first 100 documents by cosine of whitened vectors, minus that by the base's "
        "own similarity. Only one vector per text is tested.",
        "helps",
        POINT,
        False,
        _each(_whitened_reranking),
    ),
    Claim(
        "spectral-tempering",
        "Scaling the spectrum between PCA and whitening beats PCA at a fixed dimension.",
        "Li, Eustratiadis and Kanoulas, 2603.19339",
        f"{_ABSTRACT}; it does not give the formula of gamma(k)",
        "post-hoc dimensionality reduction of dense retrievers",
        "nDCG@10 with a fixed power of 0.5 minus that of PCA, in a quarter of the dimensions, by cosine. The paper's "
        "adaptive power is not tested.",
        "helps",
        POINT,
        False,
        _each(lambda place: _powers(place, 0.5, 0.0, share=0.25)),
    ),
    Claim(
        "mean-removal",
        "Removing the common mean of embeddings improves retrieval without training.",
        "Ren, Sun and Liang, 2511.11041 v1; v2 claims gains in classification",
        _ABSTRACT,
        "text embedding models on MMTEB, 38 of them",
        "nDCG@10 of unit vectors without their component along the documents' mean (R2) minus that of the base, by "
        "cosine.",
        "helps",
        POINT,
        False,
        _each(lambda place: place.ndcg(transforms.off_the_mean(place.base), "cosine") - place.plain),
    ),
    Claim(
        "one-side",
        "Normalising only queries or only documents outperforms normalising both.",
        "Feng and Watanabe, 2602.09229",
        _ABSTRACT,
        "contrastively trained retrievers, more so out of domain",
        "With heads without normalisation, nDCG@10 when documents keep their length in search, minus that of cosine. "
        "Training normalises neither queries nor documents, so the paper's statement on training is not tested.",
        "helps",
        POINT,
        True,
        lambda bench: bench.over_seeds("plain", _one_side),
    ),
    Claim(
        "covariance-suffices",
        "Matching the covariance suffices: SIGReg adds nothing to it.",
        "Akbar, 2603.05924",
        f"{_ABSTRACT}; it claims stable supervised training, and the equivalence is this project's interpretation",
        "stabilising supervised training of image classifiers",
        "Heads with a covariance term, and heads with both this term and SIGReg, are equivalent in nDCG@10.",
        "equal",
        POINT,
        True,
        _between("isotropic", "covariance"),
        moved=_moved("covariance"),
    ),
    Claim(
        "gor-truncation",
        "A spread-out regulariser (GOR) makes embeddings robust to truncation.",
        "Schechter Vera et al., 2509.20354",
        f"{_ABSTRACT}; it credits the regulariser with robustness and expressiveness",
        "EmbeddingGemma",
        "Loss of nDCG@10 in a quarter of the dimensions (PCA), of heads without GOR minus that of heads with GOR.",
        "helps",
        POINT,
        True,
        _loss_of(_truncated),
        moved=_moved("gor"),
    ),
    Claim(
        "gor-quantisation",
        "A spread-out regulariser (GOR) makes embeddings robust to quantisation.",
        "Schechter Vera et al., 2509.20354",
        f"{_ABSTRACT}; it names quantised model weights",
        "EmbeddingGemma",
        "Loss of nDCG@10 by sign bits of documents (fp32 queries), of heads without GOR minus that of heads with GOR.",
        "helps",
        POINT,
        True,
        _loss_of(_quantised),
        moved=_moved("gor"),
    ),
    Claim(
        "rotation-codebook",
        "Random rotation with a codebook and an unbiased estimate beats plain sign bits.",
        "Gao and Long, 2405.12497; Gao et al., 2604.19528",
        f"{_ABSTRACT}; the second compares RaBitQ with TurboQuant",
        "approximate nearest-neighbour search",
        "nDCG@10 with one bit per dimension of centred and rotated vectors, RaBitQ's correction and an fp32 query, "
        "minus that of sign bits by Hamming distance. The correction needs four more bytes per vector.",
        "helps",
        POINT,
        False,
        _each(_rotation),
    ),
    Claim(
        "hubness",
        "Reducing hubness improves the semantic space of Sentence-BERT.",
        "Nielsen and Hansen, 2311.18364",
        _ABSTRACT,
        "nearest-neighbour classification",
        "nDCG@10 of CSLS with ten neighbours among documents minus that of the base's own similarity. The paper "
        "combines other methods.",
        "helps",
        POINT,
        False,
        _each(lambda place: place.ndcg(transforms.without_hubs(place.base), "dot") - place.plain),
    ),
    Claim(
        "guide-gain",
        "An isotropic head gains 2 to 4 points of nDCG@10 over its base.",
        "the project's guide",
        "read in full",
        "the hybrid strategy on all-mpnet-base-v2",
        "nDCG@10 of heads with SIGReg by Euclidean distance minus that of the base, over all collections, one of "
        "which is in-domain.",
        "helps",
        0.02,
        True,
        _guide_gain,
        moved=_moved("sigreg"),
    ),
    Claim(
        "guide-isotropy",
        "The head's isotropy is above 0.9.",
        "the project's guide",
        "read in full; it does not define the score",
        "the hybrid strategy",
        "Participation ratio of the documents, embedded by heads with SIGReg, divided by that of as many vectors from "
        "N(0, I). The sample is the collections.",
        "above",
        0.9,
        True,
        lambda bench: [float(value) for value in bench.over_seeds("sigreg", _isotropy)],
    ),
    Claim(
        "guide-euclidean",
        "Euclidean distance retrieves better than the cosine where embeddings are not normalised.",
        "the project's guide",
        "read in full",
        "the hybrid strategy",
        "nDCG@10 of heads with SIGReg by Euclidean distance minus that by cosine.",
        "helps",
        POINT,
        True,
        _within_head(_euclidean, lambda place, pair: place.ndcg(pair, "cosine"), "sigreg"),
    ),
)


def choose_claims(keys: Sequence[str]) -> list[Claim]:
    """Return the claims with these keys, or all if `keys` is empty. Raises `UserError` for an unknown key."""
    known = {claim.key: claim for claim in CLAIMS}
    for key in keys:
        if key not in known:
            raise UserError(f"{key}: is not a claim{did_you_mean(key, known)}; `ragcun claims ls` lists all claims")
    return [known[key] for key in dict.fromkeys(keys)] or list(CLAIMS)
