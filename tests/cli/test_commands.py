"""The command as users meet it: real subprocesses, their output, exit codes and the time that help takes."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from children import Child, python, ragcun
from hub import Hub


@pytest.mark.long
def test_help_answers_in_under_half_a_second() -> None:
    def seconds() -> float:
        began = os.times()
        subprocess.run([sys.executable, "-m", "ragcun", "--help"], check=True, capture_output=True)
        ended = os.times()
        return ended.children_user - began.children_user + ended.children_system - began.children_system

    assert min(seconds() for _ in range(5)) < 0.5


def test_every_command_explains_itself() -> None:
    from typer.main import get_command
    from typer.testing import CliRunner

    from ragcun.cli.main import app

    def commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        inner = getattr(command, "commands", {})
        return [path] + [found for name, child in inner.items() for found in commands(child, (*path, name))]

    listed = commands(get_command(app))
    assert len(listed) > 15
    for path in listed:
        done = CliRunner().invoke(app, [*path, "--help"])
        assert done.exit_code == 0, done.output
        assert "Usage" in done.output
        assert len(done.output.splitlines()) > 5


def test_help_lists_what_the_commands_themselves_say_and_imports_none() -> None:
    from typer.main import get_command

    from ragcun.cli.commands import COMMANDS
    from ragcun.cli.main import app

    constructed: Any = get_command(app)
    assert len(constructed.commands) == len(COMMANDS) > 10
    for name, command in constructed.commands.items():
        assert command.name == name
        assert " ".join(command.help.partition("\n\n")[0].split()) == COMMANDS[name][1]

    code = "import sys; from ragcun.cli.main import main; sys.argv = ['ragcun', '--help']\ntry:\n    main()\n"
    code += "finally:\n    print(*(name for name in sys.modules if name.startswith('ragcun.cli.')))"
    *page, imported = python("-c", code).stdout.splitlines()
    assert set(imported.split()) == {"ragcun.cli.main", "ragcun.cli.commands"}
    for name, (_, line) in COMMANDS.items():
        assert any(shown.split()[1:4] == [name, *line.split()[:2]] for shown in page), name


def test_the_cli_reference_is_current(tmp_path: Path) -> None:
    import ragcun as package

    source = Path(package.__file__).parent / "cli" / "main.py"
    reference = ["utils", "docs", "--name", "ragcun", "--title", "CLI reference", "--output", str(tmp_path / "cli.md")]
    done = python("-m", "typer", source, *reference)
    assert done.returncode == 0, done.stderr

    kept = Path(__file__).parents[2] / "docs" / "cli.md"
    assert (tmp_path / "cli.md").read_text(encoding="utf-8") == kept.read_text(encoding="utf-8"), "run `nox -s docs`"


def test_version() -> None:
    import ragcun as package

    assert ragcun("--version").stdout == f"ragcun {package.__version__}\n"


def test_presets_are_listed_and_shown() -> None:
    listed = ragcun("presets").stdout
    assert all(name in listed for name in ("demo", "prototype", "medium", "hybrid"))
    shown = tomllib.loads(ragcun("presets", "show", "hybrid").stdout)
    assert shown["model"]["base"] == "sentence-transformers/all-mpnet-base-v2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["presets", "show", "hybird"], "did you mean hybrid"),
        (["train"], "--train-data"),
        (["train", "--preset", "prototype", "--train-data", "x"], "x: no such file"),
        (["train", "--preset", "demo", "--train-data", "nowhere/at/all"], "nowhere/at/all"),
        (["train", "--preset", "demo", "--epochs", "0"], "training.epochs = 0"),
        (["train", "--preset", "demo", "--epochs", "many"], "--epochs"),
        (["run", "--preset", "hybrid", "--train-data", "x"], "evaluate on"),
        (["eval", "beir", "--datasets", "a", "--data-dir", "nowhere", "--model", "bm25"], "nowhere"),
        (["analyze", "isotropy", "--model", "./absent", "--data", "nowhere"], "./absent"),
        (["report", "latex", "nowhere"], "nowhere"),
        (["eval", "verify", "--data-dir", "nowhere"], "nowhere: no such folder"),
        (["store", "prune"], "--unused-for"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = ragcun(*arguments, cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in ragcun("--debug", "presets", "show", "hybird").stderr


def test_piped_output_has_no_colour() -> None:
    done = ragcun("presets", "show", "hybird")

    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.long
def test_a_store_is_listed_verified_and_pruned(tmp_path: Path, tiny_model: Path, collection: Path) -> None:
    store = ["--store", str(tmp_path / "store")]
    common = ["--base-model", str(tiny_model), "--train-data", str(collection), "--output-dim", "8", "--epochs", "1"]
    trained = ragcun("train", *common, *store, "--output-dir", str(tmp_path / "e"), "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["parameters"]["head"] > 0

    (row,) = json.loads(ragcun("store", "ls", *store, "--json").stdout)["stores"]
    assert row["texts"] > 0
    assert row["key"].get("runtime", "torch") in ragcun("store", "ls", *store).stdout
    assert ragcun("store", "verify", *store).returncode == 0
    shard = next((tmp_path / "store").rglob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert ragcun("store", "verify", *store).returncode == 1
    assert ragcun("store", "verify", "--repair", *store).returncode == 0
    assert not shard.exists()
    assert ragcun("store", "prune", "--name", "absent", *store).returncode == 2
    assert ragcun("store", "prune", "--name", row["store"], "--dry-run", *store).returncode == 0
    assert (tmp_path / "store" / row["store"]).exists()
    assert ragcun("store", "prune", "--name", row["store"], *store).returncode == 0
    assert not (tmp_path / "store" / row["store"]).exists()


@pytest.mark.long
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_ends_a_command_says_how_to_go_on(
    tmp_path: Path, tiny_model: Path, collection: Path, sent: signal.Signals, code: int
) -> None:
    command = ["train", "--base-model", str(tiny_model), "--train-data", str(collection), "--output-dim", "8"]
    command += ["--epochs", "100000", "--store", str(tmp_path / "s"), "--output-dir", str(tmp_path / "e")]
    process = Child("-m", "ragcun", *command)
    deadline = time.monotonic() + 120
    while not (tmp_path / "e" / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    done = process.wait(timeout=60)

    assert done.returncode == code
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_is_all_that_standard_output_gets(tmp_path: Path) -> None:
    """Libraries print when they are imported and as they end (transformers and trackio, where W&B is offline)."""
    code = (
        "import atexit, json, sys; atexit.register(print, 'late'); dumps = json.dumps\n"
        "json.dumps = lambda *given, **named: [print('while it works'), dumps(*given, **named)][1]\n"
        "from ragcun.cli.main import main\n"
        f"sys.argv = ['ragcun', 'store', 'ls', '--store', {str(tmp_path)!r}, '--json']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"stores": []}
    assert done.stderr.splitlines() == ["while it works", "late"]


FIRST_LINE = """
import os, sys
import ragcun.console
def stop(text):
    print(text, "torch" in sys.modules, flush=True)
    os._exit(0)
ragcun.console.say = stop
from ragcun.cli.main import main
sys.argv = ["ragcun", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--train-data", "DATA", "--base-model", "MODEL"], "training on MODEL with DATA into"),
        (["ablate", "--grid", "dropout=0,0.1", "--train-data", "DATA", "--base-model", "MODEL"], "6 trainings"),
        (["run", "--train-data", "DATA", "--base-model", "MODEL", "--datasets", "DATA"], "then evaluation on"),
        (["eval", "collection", "DATA", "--model", "MODEL"], " on animals"),
        (["analyze", "isotropy", "--data", "DATA", "--model", "MODEL"], "measuring the isotropy of MODEL on animals"),
    ],
)
def test_the_first_line_says_what_will_be_done_before_torch_is_imported(
    arguments: list[str], said: str, tmp_path: Path, tiny_model: Path, collection: Path
) -> None:
    names = {"DATA": str(collection), "MODEL": str(tiny_model)}
    command = [sys.executable, "-c", FIRST_LINE, *(names.get(one, one) for one in arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    for name, path in names.items():
        said = said.replace(name, path)
    assert said in done.stdout, done.stderr
    assert done.stdout.endswith(" False\n"), "torch had been imported by then"


REFUSED = """
import sys
from ragcun.cli.main import main
sys.argv = ["ragcun", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    print(ended.code, "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("variables", "flags", "said"),
    [
        ({"WORLD_SIZE": "x"}, [], "WORLD_SIZE = 'x': must be a whole number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, [], "RANK = 2: must be below WORLD_SIZE = 2"),
        ({}, ["--output-dim", "999"], "give --output-dim 32 or less"),
    ],
)
@pytest.mark.parametrize("command", ["train", "plan"])
def test_what_needs_no_torch_is_refused_without_it(
    command: str,
    variables: dict[str, str],
    flags: list[str],
    said: str,
    tmp_path: Path,
    tiny_model: Path,
    collection: Path,
) -> None:
    given = [command, "--train-data", str(collection), "--base-model", str(tiny_model), *flags]
    python = [sys.executable, "-c", REFUSED, *given]
    done = subprocess.run(python, check=False, capture_output=True, text=True, cwd=tmp_path, env=os.environ | variables)
    assert said in done.stderr
    assert done.stdout == "2 False\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", ["claims run", "data audit pairs.jsonl --test", "analyze isotropy --data", "eval collection"]
)
def test_offline_is_for_models_as_for_datasets(
    command: str, tmp_path: Path, tiny_model: Path, collection: Path
) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"query": "a", "positive": "b"}\n', encoding="utf-8")
    given = [*command.split(), str(collection), "--model", "lab/tiny", "--offline"]
    with Hub({"lab/tiny": tiny_model}).serve() as hub:
        variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        line = [sys.executable, "-m", "ragcun", *given]  # a new process, which has not imported the hub's library
        environment = {**os.environ, **variables}
        refused = subprocess.run(line, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert refused.returncode != 0
        assert "lab/tiny: " in refused.stderr and "not in the local cache" in refused.stderr, refused.stderr
        assert hub.requests == []
