"""What docs/extending.md shows of a loss term, of a head and of a codec runs as it stands."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.mark.parametrize("section", ["A loss term", "A head", "A codec"])
def test_the_page_shows_what_runs(section: str) -> None:
    text = PAGE.read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "assert" in code
    exec(compile(code, f"{PAGE}, {section}", "exec"), {})  # noqa: S102
