"""The composed objective, alone and as a loss of sentence-transformers' trainer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ragcun.errors import UserError
from ragcun.losses import (
    EuclideanInfoNCE,
    IsotropicRetrievalLoss,
    RetrievalObjective,
    SIGReg,
    distillation,
    scale,
)
from ragcun.losses.retrieval import text_ids


def sample(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_parts_are_the_losses_times_their_weights() -> None:
    anchors, positives, negatives = sample(6, 8), sample(6, 8, seed=1), sample(6, 2, 8, seed=2)
    anchor_ids, document_ids = torch.tensor([0, 1, 2, 3, 4, 4]), torch.arange(18)
    document_ids[-1] = -1
    teacher = sample(6, 8, seed=3)
    objective = RetrievalObjective(
        lambda_isotropy=2.0, lambda_reg=0.5, lambda_distill=3.0, temperature=6.0, slices=32, seed=9
    )
    parts = objective(anchors, positives, negatives, anchor_ids, document_ids, teacher, step=4)
    joint = torch.cat([anchors, positives, negatives.reshape(-1, 8)[:-1]])
    expected = {
        "contrastive": EuclideanInfoNCE(6.0)(anchors, positives, negatives, anchor_ids, document_ids),
        "isotropy": 2.0 * SIGReg(32, seed=9)(joint, step=4),
        "scale": 0.5 * scale(joint),
        "distillation": 3.0 * distillation(positives, teacher, 6.0),
    }
    assert list(parts) == list(expected)
    for name, value in expected.items():
        assert value > 0
        torch.testing.assert_close(parts[name], value, msg=name)


def test_a_part_without_weight_is_absent() -> None:
    objective = RetrievalObjective(lambda_isotropy=0, lambda_reg=0)
    assert list(objective(sample(3, 4), sample(3, 4, seed=1))) == ["contrastive"]


def test_a_missing_teacher_and_a_negative_weight_are_refused() -> None:
    with pytest.raises(UserError, match="base's embeddings"):
        RetrievalObjective(lambda_distill=1.0)(sample(3, 4), sample(3, 4))
    with pytest.raises(
        UserError, match=r"lambda_isotropi: no term has this weight; choose from lambda_isotropy, lambda_axes"
    ):
        RetrievalObjective(lambda_isotropi=1.0)
    with pytest.raises(UserError, match="lambda_reg must be 0 or larger, not -1"):
        RetrievalObjective(lambda_reg=-1)


def test_text_ids_are_equal_for_equal_tokens_whatever_the_padding() -> None:
    short = {"input_ids": torch.tensor([[5, 6], [5, 7]]), "attention_mask": torch.tensor([[1, 1], [1, 1]])}
    long = {
        "input_ids": torch.tensor([[0, 5, 6], [5, 7, 0], [5, 6, 0]]),
        "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 0], [1, 1, 1]]),
    }
    (first, second), (left_padded, right_padded, longer) = text_ids(short).tolist(), text_ids(long).tolist()
    assert first == left_padded
    assert second == right_padded
    assert len({first, second, longer}) == 3
    assert min(first, second, longer) >= 0


def test_trains_in_sentence_transformers_and_each_part_is_logged(
    tiny_model: Path, sentences: list[str], tmp_path: Path
) -> None:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.modules import Dense

    base = SentenceTransformer(str(tiny_model), device="cpu")
    model = SentenceTransformer(modules=[*base, Dense(32, 16, activation_function=torch.nn.Identity())], device="cpu")
    thirds = sentences[:20], sentences[20:40], sentences[40:60]
    data = Dataset.from_dict(dict(zip(("anchor", "positive", "negative"), thirds, strict=True)))
    loss = IsotropicRetrievalLoss(model, temperature=2.0, learnable_temperature=True, slices=64)
    log_temperature = loss.objective.contrastive.log_temperature
    assert log_temperature is not None
    started = log_temperature.item()
    before = model.encode(sentences[:4])
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path),
            max_steps=4,
            per_device_train_batch_size=8,
            learning_rate=1e-2,
            logging_steps=2,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=data,
        loss=loss,
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "contrastive" in entry]
    assert len(logged) == 2
    for entry in logged:
        parts = [entry[name] for name in ("contrastive", "isotropy", "scale")]
        assert min(parts) > 0
        assert entry["loss"] == pytest.approx(sum(parts), rel=1e-3)
    assert loss.objective.step == 4
    assert log_temperature.item() != started
    assert abs(model.encode(sentences[:4]) - before).max() > 1e-3


def test_needs_two_columns() -> None:
    loss = IsotropicRetrievalLoss(torch.nn.Identity())
    with pytest.raises(UserError, match="not 1 column"):
        loss([{}])


def test_labels_are_the_embeddings_that_are_distilled() -> None:
    features = [
        {"input_ids": torch.tensor([[i], [j]]), "attention_mask": torch.ones(2, 1)} for i, j in ((5, 6), (7, 8))
    ]
    embeddings, teacher = iter([sample(2, 4), sample(2, 4, seed=1)]), sample(2, 3, seed=2)
    loss = IsotropicRetrievalLoss(Encoder(embeddings), lambda_distill=2.0, temperature=3.0)
    expected = 2.0 * distillation(sample(2, 4, seed=1), teacher, 3.0)
    torch.testing.assert_close(loss(features, teacher)["distillation"], expected)


class Encoder(torch.nn.Module):
    """Gives embeddings that are known."""

    def __init__(self, embeddings: Iterator[Tensor]) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, _: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": next(self.embeddings)}


def test_nested_dimensions_have_the_loss_of_embeddings_that_are_cut() -> None:
    anchors, positives, negatives = sample(6, 8), sample(6, 8, seed=1), sample(6, 2, 8, seed=2)
    off = {"lambda_isotropy": 0.0, "lambda_reg": 0.0}
    found = RetrievalObjective(temperature=6.0, nested=(2, 4), **off)(anchors, positives, negatives)
    cut = [
        EuclideanInfoNCE(6.0 * first / 8)(anchors[:, :first], positives[:, :first], negatives[..., :first])
        for first in (2, 4, 8)
    ]
    torch.testing.assert_close(found["contrastive"], torch.stack(cut).mean())
    for wrong in (0, 8):
        with pytest.raises(UserError, match=f"not 2, {wrong}"):
            RetrievalObjective(nested=(2, wrong), **off)(anchors, positives)
