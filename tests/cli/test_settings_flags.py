"""Flags that are made of the schema: what is given arrives, help shows defaults, and mistakes cost no torch."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from ragcun.cli.main import app
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings

COMMANDS: Any = get_command(app).commands  # type: ignore[attr-defined]
WITH_SETTINGS = ["train", "run", "ablate", "plan"]


def options(name: str) -> dict[str, Any]:
    command = COMMANDS[name]
    return {
        option.name: option for option in command.get_params(command.make_context(name, [], resilient_parsing=True))
    }


def given(name: str, *arguments: str) -> dict[str, Any]:
    """What the function of a command would find in `context.obj`."""
    found: dict[str, Any] = {}
    command = COMMANDS[name]
    callback, command.callback = command.callback, lambda **_: None
    try:
        with command.make_context(name, list(arguments)) as context:
            command.invoke(context)
            found = context.obj
    finally:
        command.callback = callback
    return found


def fields(section: str = "", value: Any = None) -> set[str]:
    value = value or Settings()
    names = type(value).model_fields
    return {f"{section}__{name}" if section else name for name in names if names[name].json_schema_extra}


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_every_field_of_the_schema_is_a_flag_of_every_command(name: str) -> None:
    settings = Settings()
    wanted = fields("data", settings.data) | fields("model", settings.model) | fields("training", settings.training)
    if name != "train":
        wanted |= fields("evaluation", settings.evaluation)
    if name != "ablate":
        wanted |= fields()
    found = options(name)
    assert len(wanted) > 40
    assert {option for option in found if "__" in option or option == "seed"} == wanted
    assert all(option.help for option in found.values())
    spelled = [flag for option in found.values() for flag in option.opts + option.secondary_opts]
    assert len(spelled) == len(set(spelled))


def test_only_what_is_given_is_a_value_and_all_kinds_arrive() -> None:
    assert given("train") == {}
    arguments = ["--epochs", "10", "--no-freeze-base", "--lambda-isotropy", "0.5", "--head", "linear"]
    arguments += ["--out-of-domain", "a,b", "--out-of-domain", "c", "--interpolate", "auto", "--train-data", "x"]
    assert given("train", *arguments) == {
        "training.epochs": 10,  # also where it is the default
        "model.freeze_base": False,
        "training.lambda_isotropy": 0.5,
        "model.head": "linear",
        "data.out_of_domain": ["a,b", "c"],
        "training.interpolate": "auto",
        "data.train": ["x"],
    }


def test_names_are_separated_by_commas_wherever_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = given("run", "--datasets", "scifact,nfcorpus", "--datasets", "pydocs", "--baselines", "bm25:k1=1.2,b=0.75")
    evaluation = load_settings(None, None, flags).evaluation
    assert evaluation.datasets == ("scifact", "nfcorpus", "pydocs")
    assert evaluation.baselines == ("bm25:k1=1.2,b=0.75",)
    for value in ("scifact, nfcorpus", '["scifact", "nfcorpus"]'):
        monkeypatch.setenv("RAGCUN_EVALUATION__DATASETS", value)
        assert load_settings().evaluation.datasets == ("scifact", "nfcorpus")


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_help_shows_defaults_or_those_of_the_preset(name: str) -> None:
    def shown(*arguments: str) -> str:
        done = CliRunner().invoke(app, [name, *arguments, "--help"], env={"COLUMNS": "200"}, catch_exceptions=False)
        assert done.exit_code == 0
        return " ".join(done.output.split())

    assert "Pairs per process per step. │ │ [default: 512]" in shown()
    assert "Pairs per process per step. │ │ [default: 512]" in shown("--preset", "hybrid")
    assert "[default: (the base's width, at most 512)]" in shown()
    assert "[default: 384]" in shown("-p", "demo")


def test_values_complete_in_the_shell() -> None:
    def offered(command: str, typed: str) -> set[str]:
        variables = {"_RAGCUN_COMPLETE": "complete_bash", "COMP_WORDS": f"ragcun {command} {typed}"}
        variables["COMP_CWORD"] = str(len(f"ragcun {command} {typed}".split(" ")) - 1)
        done = CliRunner().invoke(app, [], env=variables, prog_name="ragcun")
        return set(done.output.split())

    assert offered("train", "--head ") == {"mlp", "local", "linear", "whiten", "identity"}
    assert offered("train", "--preset d") == {"demo"}
    assert offered("run", "--datasets scifact,nfc") == {"scifact,nfcorpus"}
    assert "minilm" in offered("plan", "--base-model m")
    assert offered("plan", "--gpu t") == {"t4"}
    assert offered("train", "--track w") == {"wandb"}
    assert offered("eval beir", "--model bm") == {"bm25"}
    assert offered("eval beir", "--datasets nano-nf") == {"nano-nfcorpus"}
    assert "nDCG@10" in offered("eval compare", "--metric nDCG")
    assert offered("ablate", "--endpoint compress:tre") == {"compress:trellis"}
    assert offered("plan", "--grid lambda_isot") == {"lambda_isotropy="}
    assert "pydocs" in offered("run", "--datasets py")
    assert not offered("eval beir", "--datasets py")


NAMED = {"--model", "--models", "--base-model", "--negatives-model", "--baselines", "--metric", "--isotropy-measure"}
NAMED |= {"--datasets", "--test", "--preset", "--head", "--gpu", "--runtime", "--device", "--codes", "--claim"}
NAMED |= {"--grid", "--endpoint", "--format", "--average", "--published", "--precision", "--on-error", "--track"}
NAMED |= {"--treat", "--to"}


def test_every_option_that_takes_one_of_known_names_completes() -> None:
    seen = set()
    for path, command in commands(get_command(app)):
        for parameter in command.get_params(typer.Context(command)):
            name = "DATASET" if (parameter.metavar or "").startswith("DATASET") else parameter.opts[0]
            if name in {*NAMED, "DATASET"}:
                seen.add(name)
                choices = get_origin(parameter.type_descriptor.annotation) is Literal
                assert choices or parameter._custom_shell_complete is not None, f"{path} {name}"
    assert seen == {*NAMED, "DATASET"}


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path.strip(), command
    for name in inner or ():
        yield from commands(inner[name], f"{path} {name}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "give --train-data"),
        (["train", "--train-data", "nowhere"], "nowhere: no such file or folder of pairs"),
        (["train", "--train-data", "pairs.jsonl"], "pairs.jsonl"),
        (["train", "--preset", "demo", "--output-dim", "512"], "give --output-dim 384 or less"),
        (["train", "--preset", "demo", "--compile"], "compile needs a trained base"),
        (["train", "--preset", "demo", "--output-dir", "other"], "was not written by ragcun"),
        (["train", "--preset", "demo", "--load-checkpoint", "./absent"], "./absent: no such folder"),
        (["ablate", "--grid", "lambda_isotropi=1"], "did you mean lambda_isotropy?"),
        (["ablate", "--preset", "demo", "--grid", "output_dim=8,512"], "--output-dim 512: all-MiniLM-L6-v2"),
        (["run", "--train-data", "nowhere"], "no dataset to evaluate on; give --datasets"),
        (["run", "--preset", "demo", "--datasets", "scifactt"], "no collection 'scifactt'"),
        (["plan", "--preset", "hybrid", "--datasets", "scifactt"], "no collection 'scifactt'"),
        (["plan", "--train-data", "nowhere"], "nowhere: no such file or folder of pairs"),
    ],
)
def test_what_is_wrong_is_refused_before_torch_is_imported(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"query": 1}\n', encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text("{}", encoding="utf-8")
    code = (
        "import sys; from ragcun.cli.main import main\n"
        f"sys.argv = ['ragcun', *{arguments}]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert said in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == "2 False\n"
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.jsonl", "other"}
