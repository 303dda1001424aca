"""A term is one entry: what the settings, the objective and its state make of it."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from ragcun.losses import RetrievalObjective, retrieval
from ragcun.losses.batch import EmbeddedBatch
from ragcun.losses.terms import TERMS, Term
from ragcun.settings.schema import StageSettings


class Shift(nn.Module):
    """A term with state: the mean of the queries so far, from which the positives are held away."""

    def __init__(self) -> None:
        super().__init__()
        self.mean_D = nn.Buffer(torch.zeros(4))

    def forward(self, batch: EmbeddedBatch) -> Tensor:
        self.mean_D.lerp_(batch.queries_BD.detach().mean(0), 0.5)
        return (batch.documents_MD - self.mean_D).square().mean()


def test_names_are_those_of_one_term() -> None:
    for field in ("name", "weight", "symbol"):
        values = [getattr(term, field) for term in TERMS]
        assert len(set(values)) == len(values)
    assert not {term.name for term in TERMS} & {"loss", "contrastive", "dev_contrastive", "temperature"}


def test_each_term_is_a_setting_with_its_default() -> None:
    stage = StageSettings()
    assert stage.weights() == {term.weight: term.default for term in TERMS}
    for term in TERMS:
        assert StageSettings.model_fields[term.weight].description == term.help
    off = stage.model_copy(update={term.weight: 0.0 for term in TERMS if term.needs_teacher})
    assert (stage.needs_teacher, off.needs_teacher) == (True, False)


def test_an_entry_is_enough_and_what_it_keeps_is_in_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Term("shift", "lambda_shift", 0.0, "Weight of the shift.", r"\lambda_s", lambda _: Shift(), lambda _: 0.0)
    monkeypatch.setattr(retrieval, "TERMS", (*TERMS, ours))
    queries, positives = torch.ones(3, 4), torch.zeros(3, 4)
    objective = RetrievalObjective(lambda_shift=2.0, temperature=1.0)

    parts = objective(queries, positives)

    torch.testing.assert_close(parts["shift"], torch.tensor(2 * 0.25))
    torch.testing.assert_close(objective.state_dict(), {"shift.mean_D": torch.full((4,), 0.5)})
    assert not RetrievalObjective().state_dict()


def test_a_batch_names_its_embeddings() -> None:
    seen: list[EmbeddedBatch] = []

    def look(batch: EmbeddedBatch) -> Tensor:
        seen.append(batch)
        return batch.embeddings_ND.sum()

    ours = dataclasses.replace(TERMS[0], name="look", weight="lambda_look", make=lambda _: look)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retrieval, "TERMS", (ours,))
        negatives, ids = torch.arange(12.0).view(2, 2, 3), torch.tensor([0, 1, 2, 3, -1, 4])
        objective = RetrievalObjective(lambda_look=1.0, temperature=2.0)
        objective(torch.ones(2, 3), torch.zeros(2, 3), negatives, torch.tensor([0, 1]), ids, step=7)
    (batch,) = seen
    assert (batch.step, batch.temperature, batch.teacher_BE) == (7, 2.0, None)
    torch.testing.assert_close(batch.documents_MD, torch.cat([torch.zeros(2, 3), negatives.view(4, 3)[[0, 1, 3]]]))
    torch.testing.assert_close(batch.embeddings_ND, torch.cat([torch.ones(2, 3), batch.documents_MD]))


def test_settings_read_the_registries_without_torch() -> None:
    ask = "import sys, ragcun.settings.load; assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", ask], check=True)
