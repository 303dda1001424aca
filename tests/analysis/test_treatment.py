"""Whether a treatment took: the measures, the sentence, and the verdict on a grid."""

from typing import Any

import numpy as np
import pytest

from ragcun.analysis.treatment import checked, checked_gaussian, moved, sentence, verdict


def training(end: float, dimension: int = 16, gaussian: float = 0.9) -> dict[str, Any]:
    def measured(ratio: float) -> dict[str, float]:
        return {"participation_ratio": ratio, "sigreg_shape_axes": 0.01}

    return {
        "documents": 2_000,
        "dimension": dimension,
        "start": measured(0.3),
        "end": measured(end),
        "gaussian": measured(gaussian),
    }


def test_the_measures_see_shape_alone() -> None:
    generator = np.random.default_rng(0)
    sample = generator.standard_normal((500, 16)) * np.linspace(0.1, 3, 16)
    assert checked(3 * sample + 5) == pytest.approx(checked(sample))
    gaussian, found = checked_gaussian(500, 16), checked(sample)
    assert found["participation_ratio"] < 0.7
    assert gaussian["participation_ratio"] > 0.95
    assert found["sigreg_shape_axes"] > 10 * gaussian["sigreg_shape_axes"]
    assert checked_gaussian(500, 16) == gaussian


def test_a_training_says_what_it_did() -> None:
    assert sentence(training(0.85)) == (
        "isotropy of 2,000 dev documents: participation ratio 0.30 to 0.85 of d (N(0, I): 0.90), "
        "SIGReg along principal axes 0.0100 to 0.0100 (0.0100)"
    )


def test_a_grid_that_did_not_move_isotropy_is_no_test_of_it() -> None:
    still = [training(0.30), training(0.38)]
    assert not moved(still)
    assert verdict(still) == (
        "This grid is no test of isotropy: participation ratio from 0.30 to 0.38 of d, N(0, I) has 0.90."
    )
    assert verdict([*still, training(0.40)]) is None
    assert verdict([]) is None


def test_dimensions_are_not_compared_with_each_other() -> None:
    assert not moved([training(0.3, 256), training(0.6, 32)])
    assert moved([training(0.3, 256), training(0.6, 32), training(0.7, 32)])
