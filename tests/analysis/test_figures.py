"""Figures: written whole, the same bytes twice, whatever a model is called."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from ragcun.analysis import geometry
from ragcun.analysis.figures import isotropy_figures, training_curves
from ragcun.analysis.geometry import Geometry
from ragcun.analysis.reference import gaussians
from ragcun.analysis.sets import Sizes
from ragcun.analysis.view import View
from ragcun.errors import UserError

HISTORY = [
    {"step": 0, "dev_ndcg@10": 0.31},
    {"step": 10, "epoch": 0.5, "loss": 2.0, "contrastive": 1.5, "isotropy": 0.5},
    {"step": 20, "epoch": 1.0, "loss": 1.0, "contrastive": 0.9, "isotropy": 0.1},
    {"step": 20, "dev_ndcg@10": 0.33},
]


def measure(label: str, embeddings: np.ndarray) -> Geometry:
    return geometry.measure(label, View(embeddings))


def references(shown: list[Geometry]) -> list[Geometry]:
    return [gaussians(Sizes(one.rows, 0, 0, one.dimension))["documents"] for one in shown]


def geometries() -> list[Geometry]:
    generator = np.random.default_rng(0)
    unit_ND = generator.standard_normal((120, 8))
    unit_ND /= np.linalg.norm(unit_ND, axis=1, keepdims=True)
    return [
        measure("_base_$100%", unit_ND),
        measure("a very long name of a model that would not fit a column of a paper", unit_ND * 3 + 1),
        measure("head", generator.standard_normal((120, 12))),
    ]


def draw(output: Path) -> list[Path]:
    shown = geometries()
    return [*isotropy_figures(shown, references(shown), output), *training_curves(HISTORY, output)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw(tmp_path_factory.mktemp("figures") / "new")


def test_figures_are_written_as_pdf_and_png(drawn: list[Path]) -> None:
    assert {path.stem for path in drawn} == {"spectrum", "norms", "distances", "cosines", "plane", "training"}
    for path in drawn:
        assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")
    assert sorted(drawn) == sorted(drawn[0].parent.iterdir())


@pytest.mark.filterwarnings("error")
def test_labels_with_control_characters_and_mathematics_are_drawn_as_text(tmp_path: Path) -> None:
    shown = [measure(label, np.random.default_rng(0).standard_normal((60, 8))) for label in ("a\x1b[31m\r\n", r"$\q{$")]
    assert isotropy_figures(shown, references(shown), tmp_path)


@pytest.mark.long
def test_the_same_numbers_give_the_same_bytes_and_leave_matplotlib_as_it_was(drawn: list[Path], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    for one, other in zip(drawn, draw(tmp_path), strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    assert dict(mpl.rcParams) == before


@pytest.mark.long
def test_fonts_are_embedded_as_type_42(drawn: list[Path]) -> None:
    for pdf in drawn[::2]:
        assert b"/FontFile2" in pdf.read_bytes()
        assert b"/Type3" not in pdf.read_bytes()


@pytest.mark.long
def test_degenerate_embeddings_can_be_drawn(tmp_path: Path) -> None:
    collapsed = [np.zeros((5, 3)), np.eye(3), np.full((4, 3), 2.0)]
    shown = [measure(str(i), rows) for i, rows in enumerate(collapsed)]
    assert len(isotropy_figures(shown, references(shown), tmp_path)) == 10


@pytest.mark.parametrize("kept", ["loss", "dev_ndcg@10"])
def test_curves_of_half_a_history(tmp_path: Path, kept: str) -> None:
    pdf, png = training_curves([row for row in HISTORY if kept in row], tmp_path)
    assert pdf.stat().st_size > 0
    assert png.stat().st_size > 0


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a loss nor a dev score"):
        training_curves([], tmp_path)
    assert not list(tmp_path.iterdir())
