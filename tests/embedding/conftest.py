"""Every runtime, for the tests that hold of each."""

import pytest

from ragcun.embedding.runtimes import RUNTIMES


@pytest.fixture(params=[runtime.name for runtime in RUNTIMES])
def runtime(request: pytest.FixtureRequest) -> str:
    """The name of a runtime."""
    return str(request.param)
