"""EuclideanInfoNCE is cross-entropy over squared distances, with known relevant documents left out."""

import math

import pytest
import torch
from torch import Tensor

from ragcun.errors import UserError
from ragcun.losses import EuclideanInfoNCE, pair_keys
from ragcun.losses.distances import squared_distances


def sample(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(anchors: Tensor, documents: Tensor, kept: list[list[int]], temperature: float) -> Tensor:
    """Mean over rows of -log softmax at column i of row i, among the columns that are kept."""
    rows = []
    for i, columns in enumerate(kept):
        logits = -(anchors[i] - documents).square().sum(1) / temperature
        rows.append(torch.logsumexp(logits[columns], 0) - logits[i])
    return torch.stack(rows).mean()


def test_squared_distances_equal_cdist() -> None:
    left, right = sample(30, 16), sample(20, 16, seed=1)
    torch.testing.assert_close(squared_distances(left, right), torch.cdist(left, right).square())


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_squared_distances_in_fp32_keep_their_digits_far_from_the_origin(offset: float) -> None:
    left, right = (sample(40, 64) + offset).float(), (sample(40, 64, seed=1) + offset).float()
    left[0] = right[0]
    exact = torch.cdist(left.double(), right.double()).square()
    found = squared_distances(left, right)
    assert found.min() >= 0
    torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=2e-4)


def test_gradient_is_finite_where_anchor_and_positive_coincide() -> None:
    anchors = sample(4, 8).requires_grad_()
    EuclideanInfoNCE(2.0)(anchors, anchors.detach().clone()).backward()
    assert anchors.grad is not None
    assert anchors.grad.isfinite().all()
    assert anchors.grad.abs().max() > 0


@pytest.mark.parametrize("negatives", [0, 1, 3])
def test_equals_the_formula_with_in_batch_and_given_negatives(negatives: int) -> None:
    anchors, positives = sample(5, 8).requires_grad_(), sample(5, 8, seed=1)
    given = sample(5, negatives, 8, seed=2) if negatives else None
    documents = positives if given is None else torch.cat([positives, given.reshape(-1, 8)])
    everything = [list(range(len(documents)))] * 5
    found, expected = EuclideanInfoNCE(9.0)(anchors, positives, given), by_hand(anchors, documents, everything, 9.0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, anchors)[0] for loss in (found, expected)))


def test_masks_duplicates_of_documents_and_anchors_but_never_the_rows_own_positive() -> None:
    anchors, positives, negatives = sample(4, 8), sample(4, 8, seed=1), sample(4, 1, 8, seed=2)
    documents = torch.cat([positives, negatives.squeeze(1)])
    anchor_ids = torch.tensor([7, 8, 7, 9])  # rows 0 and 2 share an anchor: each knows both positives
    document_ids = torch.tensor([1, 2, 3, 2, 4, -1, 1, 5])  # rows 1 and 3 share a positive; one negative is absent
    kept = [
        [0, 1, 3, 4, 7],  # without 2, relevant through row 2, and 6, which is document 1 again
        [0, 1, 2, 4, 6, 7],  # without 3, the same document as its own positive
        [1, 2, 3, 4, 7],  # without 0 and 6, relevant through row 0
        [0, 2, 3, 4, 6, 7],
    ]
    found = EuclideanInfoNCE(5.0)(anchors, positives, negatives, anchor_ids, document_ids)
    torch.testing.assert_close(found, by_hand(anchors, documents, kept, 5.0))
    assert found != EuclideanInfoNCE(5.0)(anchors, positives, negatives)


def test_either_kind_of_id_may_be_missing() -> None:
    anchors, positives = sample(3, 8), sample(3, 8, seed=1)
    loss = EuclideanInfoNCE(5.0)
    by_anchor = loss(anchors, positives, anchor_ids=torch.tensor([4, 4, 5]))
    torch.testing.assert_close(by_anchor, by_hand(anchors, positives, [[0, 2], [1, 2], [0, 1, 2]], 5.0))
    by_document = loss(anchors, positives, document_ids=torch.tensor([4, 5, 5]))
    torch.testing.assert_close(by_document, by_hand(anchors, positives, [[0, 1, 2], [0, 1], [0, 2]], 5.0))


def test_a_batch_of_one_document_has_no_loss() -> None:
    assert EuclideanInfoNCE()(sample(3, 8), sample(3, 8, seed=1), document_ids=torch.zeros(3, dtype=torch.int64)) == 0


def test_learnable_temperature_gets_the_gradient_of_its_logarithm() -> None:
    anchors, positives = sample(6, 8), sample(6, 8, seed=1)
    loss = EuclideanInfoNCE(10.0, learnable=True)
    loss(anchors, positives).backward()
    assert loss.log_temperature is not None
    assert loss.log_temperature.grad is not None
    step = 1e-4
    higher, lower = (EuclideanInfoNCE(10 * math.exp(s))(anchors, positives) for s in (step, -step))
    assert loss.log_temperature.grad.item() == pytest.approx(float(higher - lower) / (2 * step), rel=1e-4)
    assert not list(EuclideanInfoNCE(10.0).parameters())


def test_computes_in_fp32_under_autocast() -> None:
    anchors, positives = sample(6, 8).bfloat16(), sample(6, 8, seed=1).bfloat16()
    expected = EuclideanInfoNCE(5.0)(anchors.float(), positives.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = EuclideanInfoNCE(5.0)(anchors, positives)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(UserError, match="temperature"):
        EuclideanInfoNCE(temperature)


def test_shapes_that_do_not_fit_are_named() -> None:
    loss = EuclideanInfoNCE()
    with pytest.raises(UserError, match="positives"):
        loss(sample(3, 8), sample(4, 8))
    with pytest.raises(UserError, match="document_ids"):
        loss(sample(3, 8), sample(3, 8), sample(3, 2, 8), document_ids=torch.arange(3))


def test_pairs_known_from_elsewhere_are_masked_but_never_the_own_positive() -> None:
    anchors, positives = torch.randn(3, 4), torch.randn(3, 4)
    ids, documents = torch.tensor([5, 6, 7]), torch.tensor([10, 11, 12])
    known = pair_keys(torch.tensor([5, 6, 7, 5]), torch.tensor([10, 11, 12, 12])).sort().values
    loss = EuclideanInfoNCE(temperature=2.0)

    masked = loss(anchors, positives, None, ids, documents, known)

    logits = -torch.cdist(anchors, positives).square() / 2
    logits[0, 2] = -torch.inf
    torch.testing.assert_close(masked, torch.nn.functional.cross_entropy(logits, torch.arange(3)))
    assert masked < loss(anchors, positives, None, ids, documents)


@pytest.mark.parametrize("offset", [0, 2**31 - 40])
def test_known_pairs_are_found_whichever_ids_repeat(offset: int) -> None:
    """As for each row by hand: many rows of one anchor, many documents of one id, absent ones, and the largest ids."""
    draw = torch.Generator().manual_seed(1)
    ids = offset + torch.randint(12, (16,), generator=draw)
    documents = offset + torch.randint(40, (48,), generator=draw)
    documents[[20, 33]] = -1
    pairs = offset + torch.randint(40, (200, 2), generator=draw)
    known = pair_keys(*pairs.T).sort().values
    anchors, positives, negatives = sample(16, 4), sample(16, 4, seed=1), sample(16, 2, 4, seed=2)

    relevant = {*map(tuple, pairs.tolist()), *zip(ids.tolist(), documents[:16].tolist(), strict=True)}
    kept = [
        [j for j, d in enumerate(documents.tolist()) if j == i or (d != -1 and (a, d) not in relevant)]
        for i, a in enumerate(ids.tolist())
    ]
    assert sum(map(len, kept)) < 16 * 44, "more is left out than what is absent"
    expected = by_hand(anchors, torch.cat([positives, negatives.flatten(0, 1)]), kept, 2.0)
    found = EuclideanInfoNCE(temperature=2.0)(anchors, positives, negatives, ids, documents, known)
    torch.testing.assert_close(found, expected)
