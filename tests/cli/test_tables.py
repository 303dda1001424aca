"""A command whose product is a table prints it on standard output, in any form; the rest is on standard error."""

import ast
import csv
import io
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from typer.main import get_command

import ragcun
from ragcun.cli.main import app

ROOT = Path(ragcun.__file__).parent
BENCH = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "bench" / "bad_inputs.py")))
# They train, encode or measure. What they print goes through the same function, which the first test holds them to.
LONG = {"run", "ablate", "plan", "claims run", "data pydocs", "analyze isotropy", "analyze tradeoff"}
LONG |= {"eval abstain", "eval compress", "eval neighbours"}


def with_tables(command: Any, path: str = "") -> set[str]:
    options = {option for one in command.get_params(typer.Context(command)) for option in one.opts}
    inner = getattr(command, "commands", {})
    below = set().union(*(with_tables(inner[name], f"{path} {name}") for name in inner))
    return below | ({path.strip()} if "--format" in options else set())


def test_every_table_of_a_command_is_printed_by_one_function_in_the_form_that_is_asked_for() -> None:
    printing = 0
    for path in (ROOT / "cli").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("print_table"):
                printing += 1
                assert [ast.unparse(one) for one in node.args[1:]] == ["form"], f"{path}: {ast.unparse(node)}"
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert "rich" not in ast.unparse(node), path
    assert printing > 20
    for path in ROOT.rglob("*.py"):
        made = "rich.table" in path.read_text(encoding="utf-8")
        assert made == (path.name == "terminal.py"), f"{path}: makes a table for the terminal"


def test_tables_are_on_standard_output(tmp_path: Path, tiny_model: Path) -> None:
    found = with_tables(get_command(app))
    assert found > LONG
    place = BENCH.Place(tmp_path, str(tiny_model))
    for name in sorted(found - LONG):
        line = [*name.split(), *BENCH.COMMANDS.get(name, "").split()]
        done = place.run(BENCH.Case("", (*line, "--format", "csv")))
        header, *rows = csv.reader(io.StringIO(done.output))
        assert len(header) > 1, f"{name}: {done.errors}"
        assert rows or name == "store ls", name
        assert ",".join(header) not in done.errors, name
