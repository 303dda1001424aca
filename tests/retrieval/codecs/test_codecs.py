"""Codecs take the bytes they state, search exactly what they decode, and lose what theory says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from sentence_transformers.util.quantization import quantize_embeddings

from children import python
from ragcun.cli.completion import codes as names_of_codes
from ragcun.errors import UserError
from ragcun.intact import DamagedError
from ragcun.retrieval.codecs import saved
from ragcun.retrieval.codecs.codec import Codes
from ragcun.retrieval.codecs.plain import BinaryCodec, FloatCodec, MinMaxCodec
from ragcun.retrieval.codecs.registry import CODES, Asked, CodecEntry
from ragcun.retrieval.codecs.saved import read_codes, write_codes
from ragcun.retrieval.codecs.scalar import ScalarCodec, gaussian_codebook
from ragcun.retrieval.codecs.search import FittedCodec, rescore
from ragcun.retrieval.codecs.space import fit_space, rotation
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.codecs.trellis import DISTORTIONS, _decode, _encode, fit_trellis, shares
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import SIMILARITIES, search
from ragcun.retrieval.topk import Floats, TopK

D = 32
SPECTRUM = (np.arange(1, D + 1, dtype=np.float32) ** -0.5).astype(np.float32)


def vectors(count: int, seed: int, unit: bool = False) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal((count, D), dtype=np.float32) * SPECTRUM + 0.3
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True) if unit else drawn


def found(queries: Floats, documents: Floats, k: int, similarity: str, spec: str) -> TopK:
    fitted = FittedCodec.fit(as_matrix(documents), CodecSpec.parse(spec), similarity)
    coded = fitted.encode(as_matrix(documents))
    return fitted.search(
        queries, coded, k, np.arange(len(documents)), np.full(len(queries), -1), Resources(document_block=97)
    )


@pytest.mark.parametrize(
    ("bits", "values"), [(1, [0.7979]), (2, [0.4528, 1.5104]), (4, [0.1284, 0.3881, 0.6568, 0.9424])]
)
def test_the_codebook_is_lloyds_and_maxs(bits: int, values: list[float]) -> None:
    codebook = gaussian_codebook(bits)
    assert len(codebook) == 2**bits
    assert codebook[len(codebook) // 2 :][: len(values)] == pytest.approx(values, abs=1e-4)
    assert (codebook == -codebook[::-1]).all()


def test_scalar_codes_lose_what_max_says() -> None:
    drawn = np.random.default_rng(0).standard_normal((2_000, 64), dtype=np.float32)
    for bits, expected in ((1, 0.3634), (2, 0.1175), (4, 0.009497)):
        codebook = gaussian_codebook(bits)
        nearest = codebook[np.abs(drawn[:, :, None] - codebook).argmin(axis=2)]
        assert np.square(drawn - nearest).mean() == pytest.approx(expected, rel=0.03)
        codec = ScalarCodec(bits, 64, 1.0)
        codes = codec.encode(drawn)
        factors = np.einsum("nk,nk->n", drawn, drawn) / np.einsum("nk,nk->n", drawn, nearest)
        assert codec.decode(codes) == pytest.approx(nearest * factors[:, None], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_inner_products_are_unbiased_over_rotations(bits: int) -> None:
    document, query = vectors(1, 1)[0], vectors(1, 2)[0]
    draws = np.random.default_rng(3)
    estimates = []
    for _ in range(600):
        turned, upper = np.linalg.qr(draws.standard_normal((D, D)))
        turned = (turned * np.sign(np.diag(upper))).astype(np.float32)
        codec = ScalarCodec(bits, D, float(document.std()))
        estimates.append(float(query @ turned @ codec.decode(codec.encode((document @ turned)[None]))[0]))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert error > 0
    assert np.mean(estimates) == pytest.approx(float(query @ document), abs=4 * error + 1e-3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
def test_the_trellis_loses_what_it_says_and_less_than_a_scalar_quantiser(bits: int) -> None:
    drawn = np.random.default_rng(0).standard_normal((200, 64), dtype=np.float32)
    codes = _encode(drawn, bits)
    assert codes.shape == (200, 8 * bits)
    error = np.square(drawn - _decode(codes, bits)).mean()
    assert error == pytest.approx(DISTORTIONS[bits], rel=0.1)
    codebook = gaussian_codebook(bits)
    assert error < 0.9 * np.square(drawn - codebook[np.abs(drawn[:, :, None] - codebook).argmin(axis=2)]).mean()


def test_bits_are_shared_out_as_the_error_is_least() -> None:
    variances = np.repeat([16.0, 4.0, 1.0, 0.01], 8)
    assert shares(variances, 6) == {3: 8, 2: 8, 1: 8}
    assert shares(np.ones(32), 4) == {1: 32}
    assert sum(bits * count for bits, count in shares(np.geomspace(1, 1e-3, 96), 17).items()) == 8 * 17
    with pytest.raises(UserError, match="trellis25: 32 dimensions take at most 24 bytes"):
        shares(variances, 25)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("fp32", 4 * D),
        ("fp16", 2 * D),
        ("int8", D),
        ("4bit", D // 2 + 2),
        ("2bit/20", 7),
        ("1bit", D // 8 + 2),
        ("trellis8", 8),
        ("binary", 4),
        ("pq4", 4),
        ("opq8", 8),
        ("rabitq", D // 8 + 8),
        ("4bit/16/power=0.5", 10),
    ],
)
def test_codes_take_the_bytes_they_state_and_find_most(similarity: str, spec: str, size: int) -> None:
    documents = vectors(400, 0)
    queries = documents[:40] + 0.05 * vectors(40, 1)
    fitted = FittedCodec.fit(as_matrix(documents), CodecSpec.parse(spec), similarity)
    coded = fitted.encode(as_matrix(documents))
    assert coded.codes.nbytes == 400 * size
    described = fitted.describe(coded)
    assert (described["bytes"], described["code"]) == (size, CodecSpec.parse(spec).name)
    top = found(queries, documents, 20, similarity, spec)
    exact = search(queries, documents, 1, similarity)
    hits = np.mean([row in rows for row, rows in zip(exact.rows[:, 0], top.rows, strict=True)])
    assert hits > (0.3 if spec == "binary" else 0.75)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_components_and_rotations_without_codes_change_no_ranking(similarity: str) -> None:
    queries, documents = vectors(20, 0), vectors(300, 1)
    exact = search(queries, documents, 10, similarity)
    for spec in ("fp32", f"fp32/{D}", f"fp32/{D}/rotated", "fp32/rotated"):
        assert (found(queries, documents, 10, similarity, spec).rows == exact.rows).mean() > 0.98


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rescoring_all_documents_is_exact_search(similarity: str) -> None:
    queries, documents = vectors(20, 0), vectors(150, 1)
    documents[100:] = documents[:50]  # ties
    exact = search(queries, documents, 12, similarity)
    rough = found(queries, documents, 150, similarity, "1bit")
    assert not (rough.rows[:, :12] == exact.rows).all()
    again = rescore(queries, as_matrix(documents), rough, 12, similarity, np.arange(150))
    assert (again.rows == exact.rows).all()
    assert (again.scores == exact.scores).all()


def test_queries_are_compared_with_what_int8_codes_stand_for() -> None:
    # sentence-transformers#4058: by the codes alone the second document would be better
    ranges = np.array([[-10, -10, 2], [245, 117.5, 2]], np.float32)
    query, documents = np.array([[1, 3, 2]], np.float32), np.array([[4, 0, 2], [0, 1, 2]], np.float32)
    codec = MinMaxCodec(ranges)
    codes = codec.encode(documents)
    assert (codes.view(np.int8) == quantize_embeddings(documents, precision="int8", ranges=ranges)).all()
    assert ((codes.astype(np.float32) @ query.T)[:, 0]).argmax() == 1
    assert (codec.decode(codes) == documents).all()
    assert (query @ codec.decode(codes).T).tolist() == [[8, 7]]


def test_signs_rank_by_hamming_distance_and_ties_by_id() -> None:
    queries, documents = vectors(10, 0), vectors(200, 1)
    codec = BinaryCodec(D)
    bits = np.unpackbits(quantize_embeddings(documents, precision="ubinary"), axis=1)
    assert (codec.decode(codec.encode(documents)) == bits * 2.0 - 1).all()
    hamming = ((queries > 0)[:, None] != bits[None].astype(bool)).sum(axis=2)
    top = found(queries, documents, 200, "cosine", "binary")
    for distances, rows in zip(hamming, top.rows, strict=True):
        assert len(np.unique(distances)) < 40
        assert rows.tolist() == sorted(range(200), key=lambda row: (distances[row], -row))


def test_rabitq_is_scored_as_faiss_scores_it() -> None:
    import faiss

    for similarity, metric in (("cosine", faiss.METRIC_INNER_PRODUCT), ("euclidean", faiss.METRIC_L2)):
        queries, documents = vectors(10, 0, unit=True), vectors(200, 1, unit=True)
        fitted = FittedCodec.fit(as_matrix(documents), CodecSpec.parse("rabitq"), similarity)
        index = faiss.IndexRaBitQ(D, metric)
        index.qb = 0
        index.train(fitted.space.documents(documents))
        index.add(fitted.space.documents(documents))
        _, rows = index.search(fitted.space.queries(queries), 10)
        assert (found(queries, documents, 10, similarity, "rabitq").rows == rows).mean() > 0.95


def test_unit_vectors_are_unit_again_once_decoded() -> None:
    codec = fit_trellis(vectors(300, 0, unit=True), 8, "dot")
    assert codec.unit
    documents = vectors(20, 1, unit=True)
    wide = codec.decode(codec.encode(documents))
    square = np.square(wide[:, :-1]).sum(1) + 2 * wide[:, -1] * (wide[:, :-1] @ (codec.mean @ codec.transform))
    assert square + wide[:, -1] ** 2 * (codec.mean @ codec.mean) == pytest.approx(1, abs=1e-4)


def test_the_trellis_codes_what_is_left_of_the_nearest_centroid() -> None:
    draws = np.random.default_rng(0)
    clusters = draws.standard_normal((20, D), dtype=np.float32)
    documents = clusters[np.arange(640) % 20] + 0.1 * draws.standard_normal((640, D), dtype=np.float32)
    codec = fit_trellis(documents, 8, "euclidean")
    assert codec.centroids.shape == (40, sum(codec.rates.values()))
    assert sum(bits * count for bits, count in codec.rates.items()) == 8 * 7
    codes = codec.encode(documents)
    assert len(set(zip(codes[:, 0].tolist(), np.arange(640) % 20, strict=True))) == len(set(codes[:, 0].tolist()))
    error = np.square(codec.decode(codes) - codec.queries(documents)).sum(axis=1).mean()
    assert error < 0.6 * 0.1**2 * D  # so it codes the differences within clusters, not the clusters alone
    for few in (documents[:31], vectors(10_000, 0)[:, :8]):  # one centroid; and none that is worth the only byte
        assert len(fit_trellis(few, 1, "euclidean").centroids) == 0


def test_rotations_are_rotations_and_whitening_whitens() -> None:
    assert rotation(16) @ rotation(16).T == pytest.approx(np.eye(16), abs=1e-5)
    documents = vectors(2_000, 0)
    white = fit_space(documents, "euclidean", 16, True, 1.0, False).documents(documents)
    assert np.cov(white.T) == pytest.approx(np.eye(16), abs=0.01)
    with pytest.raises(UserError, match="span only 9 dimensions, so no 16 can be whitened"):
        fit_space(documents[:10], "euclidean", 16, True, 1.0, False)
    with pytest.raises(UserError, match="40 dimensions are more than the 32"):
        fit_space(documents, "euclidean", 40, False, 0.0, False)


def test_names_are_read_as_they_are_written() -> None:
    for text in (*CODES, "pq48", "2bit/192", "2bit/192/unrotated/power=0.25/rescore=100", "int8/rotated/power=auto"):
        assert str(CodecSpec.parse(text)) == text
    for text, problem in (
        ("2bits", "unknown.*did you mean 2bit"),
        ("2bit/0", "'0' is not a number of dimensions"),
        ("2bit/power=2", "a number from 0 to 1, or auto"),
        ("4bit48", "unknown"),
    ):
        with pytest.raises(UserError, match=problem):
            CodecSpec.parse(text)


def test_opq_of_fewer_documents_than_dimensions_does_not_crash() -> None:
    """FAISS' rotation wrote beyond its buffer, and the process died as it was freed: hence one of its own."""
    code = """
import numpy as np
from ragcun.retrieval.codecs.peers import product_quantiser
sample = np.random.default_rng(0).standard_normal((270, 320), dtype=np.float32)
print(product_quantiser(sample, 2, rotated=True).encode(sample).shape)
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout.split()) == (0, ["(270,", "2)"]), done.stderr


def test_few_documents_can_be_coded() -> None:
    documents = vectors(3, 0)
    for spec in ("int8", "2bit", "trellis4", "pq4", "opq4", "rabitq", "binary"):
        top = found(documents, documents, 5, "cosine", spec)
        assert ((top.rows >= 0).sum(axis=1) == 3).all()


@pytest.mark.parametrize(
    "spec", ["fp16", "int8", "2bit/20", "trellis8", "binary/rotated", "opq8", "rabitq", "4bit/16/power=0.5"]
)
def test_codes_on_disk_are_searched_as_those_in_memory(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "_BLOCK", 70)
    queries, documents = vectors(10, 0), vectors(200, 1)
    fitted = FittedCodec.fit(as_matrix(documents), CodecSpec.parse(spec), "cosine")
    saved.write_codes(tmp_path / "codes.safetensors", fitted, as_matrix(documents))
    again, coded = saved.read_codes(tmp_path / "codes.safetensors")
    assert isinstance(coded.codes, np.memmap)
    assert load_file(tmp_path / "codes.safetensors")["codes"].shape == coded.codes.shape
    ids, nobody = np.arange(200), np.full(10, -1)
    top = again.search(queries, coded, 10, ids, nobody, Resources())
    expected = fitted.search(queries, fitted.encode(as_matrix(documents)), 10, ids, nobody, Resources())
    assert (top.rows == expected.rows).mean() > 0.98
    assert top.scores == pytest.approx(expected.scores, rel=1e-2, abs=1e-2)
    content = bytearray((tmp_path / "codes.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "codes.safetensors").write_bytes(content)
    with pytest.raises(DamagedError, match="not what was written"):
        saved.read_codes(tmp_path / "codes.safetensors")


def test_an_entry_of_the_registry_is_all_that_a_codec_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rounded(FloatCodec):
        def __init__(self, digits: int) -> None:
            super().__init__(32)
            self._digits = digits

        def encode(self, vectors_Nk: Floats, /) -> Codes:
            return super().encode(vectors_Nk.round(self._digits))

        def facts(self) -> dict[str, Any]:
            return {"digits": self._digits}

    entry = CodecEntry("rounded", lambda asked: Rounded(asked.size or 3), lambda saved: Rounded(saved.facts["digits"]))
    monkeypatch.setitem(CODES, "rounded", replace(entry, sized=True))
    assert "rounded" in names_of_codes()
    with pytest.raises(UserError, match=r"did you mean rounded.*pq, opq and rounded may be followed by their bytes"):
        CodecSpec.parse("roundad")
    spec = CodecSpec.parse("rounded2/16")
    assert (spec.size, spec.dims, str(spec)) == (2, 16, "rounded2/16")
    documents = as_matrix(vectors(50, 0))
    fitted = FittedCodec.fit(documents, spec, "dot")
    write_codes(tmp_path / "codes.safetensors", fitted, documents)
    again, coded = read_codes(tmp_path / "codes.safetensors")
    assert again.codec.facts() == {"digits": 2}
    assert (coded.block(0, 50) == fitted.encode(documents).block(0, 50)).all()


@pytest.mark.parametrize("code", [name for name, entry in CODES.items() if entry.sized])
def test_bytes_that_do_not_suit_the_dimensions_are_known_before_there_are_vectors(code: str) -> None:
    sample = vectors(600, 0)[:, :16]
    refused = 0
    for size in (1, 3, 4, 12, 13, 16, 40):
        try:
            CODES[code].check(16, size)
        except UserError as error:
            refused += 1
            with pytest.raises(UserError, match=str(error).partition(":")[2].strip()[:14]):
                CODES[code].fit(Asked(sample, size, "dot"))
    assert 0 < refused < 7
