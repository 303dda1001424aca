"""The columns of a file of pairs are named by one setting, which every command takes."""

from pathlib import Path

import pytest

from ragcun.data.pairs import load_pairs
from ragcun.errors import UserError
from ragcun.settings.load import load_settings
from ragcun.training.data import training_data


def test_columns_are_those_that_the_setting_names(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    rows = "".join(f"{i},what is {i},it is {i}\n" for i in range(60))
    path.write_text(f"source,question,answer\n{rows}", encoding="utf-8")
    flags = {"data.train": str(path), "data.columns": "query=question,positive=answer"}
    pairs, _ = training_data(load_settings(flags=flags))
    assert pairs.queries[0] == "what is 0" and pairs.documents[0] == "it is 0"
    assert pairs.source["columns"] == "query=question,positive=answer"
    with pytest.raises(UserError, match="--columns"):
        training_data(load_settings(flags={"data.train": str(path)}))


@pytest.mark.parametrize("columns", ["question", "", "query=", "queries=question"])
def test_what_names_no_column_is_refused_for_a_folder_too(tmp_path: Path, columns: str) -> None:
    with pytest.raises(UserError, match="--columns"):
        load_pairs(tmp_path, columns=columns)
