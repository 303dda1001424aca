"""Two gloo processes with uneven shares of a batch give one process' losses and gradients."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from children import Child

SCRIPT = Path(__file__).with_name("two_processes.py")
Results = dict[str, "np.ndarray[Any, Any]"]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    folder = tmp_path_factory.mktemp("gloo")
    workers = [Child(SCRIPT, folder, str(rank)) for rank in range(2)]
    try:
        for worker in workers:
            done = worker.wait()
            assert done.returncode == 0, done.stderr
    finally:
        for worker in workers:
            worker.kill()
    found = []
    for rank in range(2):
        with np.load(folder / f"rank{rank}.npz", allow_pickle=False) as arrays:
            found.append({name: arrays[name] for name in arrays})
    return found


@pytest.fixture(scope="module")
def of_one() -> Results:
    script = runpy.run_path(str(SCRIPT))
    batch = script["make_batch"]()
    return {
        f"{case.name}/{name}": value
        for case in script["cases"]()
        for name, value in script["results"](case, batch).items()
    }


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [
        "sigreg",
        "sigreg_lejepa",
        "infonce",
        "infonce_plain",
        "infonce_temperature",
        "scale",
        "covariance",
        "orthogonality",
        "axes",
        "distillation",
        "objective",
    ],
)
def test_loss_and_gradients_equal_one_process(of_two: list[Results], of_one: Results, case: str) -> None:
    expected = {name: value for name, value in of_one.items() if name.startswith(f"{case}/")}
    assert len(expected) >= 3
    assert all(np.abs(value).max() > 1e-8 for name, value in expected.items() if "bias" not in name)
    for found in of_two:
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-6 if "temperature" in name else 1e-11, atol=1e-13)


@pytest.mark.long
def test_a_temperature_outside_of_ddp_gets_the_joined_gradient(of_two: list[Results], of_one: Results) -> None:
    expected = of_one["infonce_temperature/loss.log_temperature"]
    assert abs(expected) > 1e-3
    for found in of_two:
        np.testing.assert_allclose(found["alone/loss.log_temperature"], expected, rtol=1e-6)
