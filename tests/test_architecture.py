"""Data flows in one direction: a module imports only from those before it, and nothing imports the CLI."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import ragcun

ORDER = [
    [
        "errors",
        "printable",
        "machine",
        "slices",
        "products",
        "files",
        "intact",
        "lock",
        "distributed",
        "console",
        "manifest",
        "table",
    ],
    ["losses", "heads"],
    ["settings"],
    ["data"],
    ["embedding"],
    ["model"],
    ["retrieval"],
    ["mining"],
    ["evaluation"],
    ["abstain"],
    ["analysis"],
    ["neighbours"],
    ["training"],
    ["claims"],
    ["report"],
    ["release"],
    ["pipeline"],
    ["planning"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
ROOT = Path(ragcun.__file__).parent
HEAVY = {"torch", "transformers", "sentence_transformers", "datasets", "numpy", "pandas", "scipy", "matplotlib"}
HEAVY |= {"pydantic", "pydantic_settings", "bm25s", "ir_measures", "accelerate", "faiss", "beir", "pyarrow", "httpx2"}

LIGHT = ("ragcun.errors", "ragcun.report.forms", "ragcun.retrieval.codecs.registry")  # import nothing of `HEAVY`


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_every_module_has_its_place_and_imports_only_from_those_before_it() -> None:
    seen = set()
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] in {"__init__", "__main__"}:
            continue
        seen.add(parts[0])
        assert parts[0] in RANK, f"{path}: not in the order of modules"
        for module in imports(path):
            if module.startswith("ragcun.") and (target := module.split(".")[1]) != parts[0]:
                assert RANK[target] <= RANK[parts[0]], f"{path}: imports {module}, which comes later"
    assert seen == RANK.keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """`TopologicalSorter` raises a `CycleError` that names the circle; imports for types and in functions count."""
    paths = {".".join(("ragcun", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    graph = {name: (imports(path) & modules.keys()) - {name} for name, path in modules.items()}

    order = list(TopologicalSorter(graph).static_order())

    assert order.index("ragcun.errors") < order.index("ragcun.cli.main")


def test_the_cli_imports_nothing_heavy_until_a_command_needs_it() -> None:
    files = sorted((ROOT / "cli").rglob("*.py"))
    assert len(files) > 8
    for path in files:
        for module in imports(path, top_level_only=True):
            assert module.split(".")[0] not in HEAVY, f"{path}: imports {module} at its top"
            if module.startswith("ragcun."):
                assert module in {"ragcun.cli", *LIGHT} or module.startswith("ragcun.cli."), f"{path}: {module}"
    code = f"import sys, {', '.join(LIGHT)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_required_dependency_is_imported() -> None:
    def normalised(name: str) -> str:
        return re.sub("[-_.]+", "-", name).lower()

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {normalised(re.split(r"[^\w.-]", dependency)[0]) for dependency in project["dependencies"]}
    assert len(required) > 15
    modules = {module.split(".")[0] for path in ROOT.rglob("*.py") for module in imports(path)}
    provided = metadata.packages_distributions()
    imported = {normalised(name) for module in modules for name in provided.get(module, [])}
    assert required <= imported, f"required, but imported nowhere: {sorted(required - imported)}"
