"""The embedding store: no text twice, whole shards only, the same bits after an interruption."""

import os
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from children import Child
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.encode import encode_missing
from ragcun.embedding.identity import base_key
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.store import EmbeddingStore, describe_stores, digest_texts, verify_store
from ragcun.embedding.torch_runtime import TorchEngine
from ragcun.errors import RagcunError
from ragcun.files import atomic_path

KEY = {"made by": "a test"}


def vectors_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)


def test_what_was_stored_is_found_and_nothing_else(tmp_path: Path, sentences: list[str]) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    digests, vectors = digest_texts(sentences), vectors_of(len(sentences))
    store.append(digests[:20], vectors[:20])
    store.append(digests[20:50], vectors[20:50])

    again = EmbeddingStore(tmp_path, KEY)
    rows = again.find(digests)

    assert (rows[:50] >= 0).all()
    assert (rows[50:] == -1).all()
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(again.read(rows[order]), vectors[order])


def test_digests_that_share_their_first_half_are_told_apart(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    digests = np.array([[7, 1], [7, 2], [7, 3], [9, 1]], dtype=np.uint64)
    store.append(digests[:3], vectors_of(3))

    found = store.find(digests[[2, 0, 3, 1]])

    np.testing.assert_array_equal(store.read(found[[0, 1, 3]]), vectors_of(3)[[2, 0, 1]])
    assert found[2] == -1
    assert store.find(np.array([[7, 4]], dtype=np.uint64))[0] == -1


def test_another_key_is_another_store(tmp_path: Path, sentences: list[str]) -> None:
    digests = digest_texts(sentences)
    EmbeddingStore(tmp_path, KEY).append(digests, vectors_of(len(digests)))

    assert (EmbeddingStore(tmp_path, {**KEY, "prompt": "query: "}).find(digests) == -1).all()


def test_shards_of_another_process_are_taken_in(tmp_path: Path, sentences: list[str]) -> None:
    ours, theirs = EmbeddingStore(tmp_path, KEY), EmbeddingStore(tmp_path, KEY)
    digests = digest_texts(sentences)
    theirs.append(digests, vectors_of(len(digests)))
    assert (ours.find(digests) == -1).all()

    ours.refresh()

    np.testing.assert_array_equal(ours.read(ours.find(digests)), vectors_of(len(digests)))


def test_not_a_number_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    vectors = vectors_of(2)
    vectors[1, 3] = np.nan

    with pytest.raises(RagcunError, match="NaN"):
        store.append(digest_texts(["one", "two"]), vectors)

    assert not list(store.folder.rglob("*.safetensors"))


def test_compacting_keeps_every_vector(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    digests, vectors = digest_texts(map(str, range(300))), vectors_of(300)
    for start in range(0, 300, 3):
        store.append(digests[start : start + 3], vectors[start : start + 3])
    assert len(list(store.folder.rglob("*.safetensors"))) == 100

    store.compact()

    assert len(list(store.folder.rglob("*.safetensors"))) == 1
    np.testing.assert_array_equal(store.read(store.find(digests)), vectors)


def test_a_shard_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    store.append(digest_texts(["one"]), vectors_of(1))
    (whole,) = (store.folder / "shards").iterdir()
    with atomic_path(whole.with_name("other.safetensors")) as half:
        half.write_bytes(whole.read_bytes()[:40])

        assert len(EmbeddingStore(tmp_path, KEY)) == 1
        assert verify_store(store.folder) == []
        assert half.exists()
        shutil.copy(whole, half)


@pytest.mark.parametrize("damage", ["flip a vector", "flip the header", "truncate", "empty", "delete"])
def test_a_damaged_shard_is_removed_and_what_it_held_is_missing(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    digests, vectors = digest_texts(["one", "two", "three"]), vectors_of(3)
    store.append(digests[:2], vectors[:2])
    (shard,) = (store.folder / "shards").iterdir()
    store.append(digests[2:], vectors[2:])
    content = bytearray(shard.read_bytes())
    content[-1 if damage == "flip a vector" else 20] ^= 4
    match damage:
        case "truncate":
            os.truncate(shard, len(content) - 5)
        case "empty":
            os.truncate(shard, 0)
        case "delete":
            shard.unlink()
        case _:
            shard.write_bytes(content)

    again = EmbeddingStore(tmp_path, KEY)
    assert (again.find(digests) >= 0).tolist() == [False, False, True]
    assert not shard.exists()
    assert capsys.readouterr().err.count("encoded again") == (damage != "delete")

    again.append(digests[:2], vectors[:2])
    np.testing.assert_array_equal(again.read(again.find(digests)), vectors)
    np.testing.assert_array_equal(EmbeddingStore(tmp_path, KEY).find(digests) >= 0, True)


def test_damage_is_not_merged_into_a_whole_shard(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    digests, vectors = digest_texts(map(str, range(70))), vectors_of(70)
    for row in range(70):
        store.append(digests[row : row + 1], vectors[row : row + 1])
    broken = sorted((store.folder / "shards").iterdir())[5]
    content = bytearray(broken.read_bytes())
    content[-1] ^= 1
    broken.write_bytes(content)

    again = EmbeddingStore(tmp_path, KEY)
    again.compact()

    assert len(list((store.folder / "shards").iterdir())) == 1
    rows = again.find(digests)
    assert (rows < 0).sum() == 1
    np.testing.assert_array_equal(again.read(rows[rows >= 0]), vectors[rows >= 0])


def test_the_fingerprint_is_that_of_the_vectors(tmp_path: Path) -> None:
    digests, vectors = digest_texts(["one", "two"]), vectors_of(2)
    found = []
    for name, change in (("a", 0.0), ("b", 0.0), ("c", 6e-8)):
        store = EmbeddingStore(tmp_path / name, KEY)
        order = [0, 1] if name == "a" else [1, 0]
        for row in order:
            store.append(digests[[row]], (vectors * np.float32(1 + change))[[row]])
        found.append(store.fingerprint(store.find(digests)))
    assert found[0] == found[1] != found[2]


def test_a_damaged_key_is_written_again(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    written = (store.folder / "key.json").read_bytes()
    (store.folder / "key.json").write_bytes(written[:7])
    assert describe_stores(tmp_path)[0]["key"] is None
    EmbeddingStore(tmp_path, KEY)
    assert describe_stores(tmp_path)[0]["key"] == KEY


def test_verify_names_a_shard_with_a_changed_byte(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY)
    store.append(digest_texts(["one"]), vectors_of(1))
    store.append(digest_texts(["two"]), vectors_of(1, seed=2))
    assert verify_store(store.folder) == []
    broken = sorted((store.folder / "shards").iterdir())[0]
    content = bytearray(broken.read_bytes())
    content[-1] ^= 1
    broken.write_bytes(content)

    assert verify_store(store.folder) == [broken]


def test_embeddings_equal_those_of_sentence_transformers(
    tmp_path: Path, tiny_model: Path, sentences: list[str], runtime: str
) -> None:
    embedder = Embedder(str(tiny_model), tmp_path, device="cpu", runtime=runtime)

    ours = embedder.documents(sentences).block(0, len(sentences))

    theirs = SentenceTransformer(str(tiny_model), device="cpu").encode(sentences)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_nothing_is_encoded_twice(tmp_path: Path, tiny_model: Path, sentences: list[str], runtime: str) -> None:
    first = Embedder(str(tiny_model), tmp_path, runtime=runtime)
    before = first.documents(sentences).block(0, len(sentences))
    second = Embedder(str(tiny_model), tmp_path, runtime=runtime)
    calls = []
    second.base[1].register_forward_hook(lambda *_: calls.append(1))

    after = second.documents(sentences[::-1]).block(0, len(sentences))

    assert not calls
    np.testing.assert_array_equal(after, before[::-1])
    second.documents([*sentences, "the moon"])
    assert calls


def test_stores_describe_themselves(tmp_path: Path, tiny_model: Path, sentences: list[str]) -> None:
    Embedder(str(tiny_model), tmp_path).queries(sentences)

    (row,) = describe_stores(tmp_path)

    assert row["name"] == resolve_model(str(tiny_model)).label
    assert row["texts"] == len(sentences)
    assert row["dimension"] == 32
    assert row["key"]["max_length"] == 64


def test_weights_length_and_precision_change_the_key(tiny_model: Path) -> None:
    model = SentenceTransformer(str(tiny_model), device="cpu")
    key = base_key(model, "fp32")
    assert key == base_key(SentenceTransformer(str(tiny_model), device="cpu"), "fp32")

    assert base_key(model, "bf16") != key
    model.max_seq_length = 16
    assert base_key(model, "fp32") != key
    model.max_seq_length = 64
    assert base_key(model, "fp32") == key
    next(model.parameters()).data[0, 0] += 1
    assert base_key(model, "fp32") != key


KILLED = """
import sys
from pathlib import Path
from ragcun.embedding import encode
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.store import EmbeddingStore

encode._FLUSH_SECONDS = 0.0
texts = Path(sys.argv[3]).read_text().splitlines()
print("ready", flush=True)
embedder = Embedder(sys.argv[1], Path(sys.argv[2]), runtime=sys.argv[4])
append = EmbeddingStore.append
def slowly(*a):
    import time
    append(*a)
    time.sleep(0.05)
EmbeddingStore.append = slowly
embedder.documents(texts)
"""


@pytest.mark.long
def test_killed_while_encoding_and_resumed_gives_the_same_bits(tmp_path: Path, tiny_model: Path, runtime: str) -> None:
    texts = [
        f"the {a} {b} in the {c}" for a in ("cat", "dog", "owl") for b in ("runs", "sings") for c in "abcdefghij" * 9
    ]
    texts = [f"{text} {'moon ' * (i % 40)}" for i, text in enumerate(texts)]
    listing = tmp_path / "texts.txt"
    listing.write_text("\n".join(texts), encoding="utf-8")
    texts = listing.read_text(encoding="utf-8").splitlines()
    process = Child("-c", KILLED, tiny_model, tmp_path / "killed", listing, runtime)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").rglob("[!.]*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    partial = describe_stores(tmp_path / "killed")[0]["texts"]
    assert 0 < partial < len(set(texts))
    assert not [path for path in (tmp_path / "killed").rglob("*.safetensors") if verify_store(path.parent.parent)]

    resumed = Embedder(str(tiny_model), tmp_path / "killed", runtime=runtime).documents(texts)
    whole = Embedder(str(tiny_model), tmp_path / "whole", runtime=runtime).documents(texts)

    np.testing.assert_array_equal(resumed.block(0, len(texts)), whole.block(0, len(texts)))


def test_the_number_of_threads_does_not_change_a_bit(
    tmp_path: Path, tiny_model: Path, sentences: list[str], runtime: str
) -> None:
    import torch

    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            embedder = Embedder(str(tiny_model), tmp_path / str(count), runtime=runtime)
            found.append(embedder.documents(sentences).block(0, len(sentences)))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])


def test_digests_follow_the_order_of_the_texts(tmp_path: Path, tiny_model: Path, sentences: list[str]) -> None:
    embedder = Embedder(str(tiny_model), tmp_path)
    store = EmbeddingStore(tmp_path, KEY)

    load = partial(TorchEngine, embedder.base)
    digests = encode_missing(embedder.base, load, [*sentences, sentences[0]], store, "", "query", "encoding")

    np.testing.assert_array_equal(digests, digest_texts([*sentences, sentences[0]]))
    assert len(store) == len(sentences)
