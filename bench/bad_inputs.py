"""Wrong inputs to every command: each ends in one line and exit code 2 in two seconds, and leaves nothing behind.

The code is 1 where a file is damaged.

The cases are made of the command tree: every option that takes a path is given a file for a folder, a folder for a
file, a path through a file, what is not there and what no path is; every number what is none or out of range; every
choice what is none of them. A list of others, by command, follows. The seconds are the processor's, and the libraries
are imported before they count.

    python bench/bad_inputs.py              a table: kind, cases, clean; and a line for each that is not
    python bench/bad_inputs.py --every 20   every twentieth case
"""

import argparse
import contextlib
import importlib
import io
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from unittest import mock

import typer
from typer.main import get_command

from ragcun.cli.main import app, main
from ragcun.data.collection import write_collection
from ragcun.embedding.resolve import resolve_model
from ragcun.report.forms import FORMS

SECONDS = 2.0
_TEXT = "neither a number nor a path nor the name of anything"
_NUMBERS = ("nan", "inf", "-inf", "-1", "text", "²", "1e400")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Case:
    """A wrong command line and, where these are what is wrong, variables of the environment.

    The line of the error holds one of the words `named`, so that it is this mistake which is refused.
    """

    kind: str
    arguments: tuple[str, ...]
    named: tuple[str, ...] = ("",)
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> int:
        """The exit code that it is to have."""
        return 1 if self.kind == DAMAGE else 2


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, what it printed, names of files that are new, and its seconds."""

    code: int
    output: str
    errors: str
    created: tuple[str, ...]
    seconds: float

    def faults(self, case: Case) -> list[str]:
        """What is not clean, in words."""
        told = [line for line in self.errors.splitlines() if line.startswith(("error: ", "warning: "))]
        found = {
            f"exit code {self.code}": self.code != case.code,
            f"{len(told)} lines of errors": len(told) != 1,
            "a raw exception": "Traceback" in self.errors or "Error: " in self.errors,
            "another mistake is told": bool(told) and not any(word in self.errors for word in case.named),
            "standard output": bool(self.output),
            f"created {', '.join(self.created[:3])}": bool(self.created),
            f"{self.seconds:.1f} s": self.seconds > SECONDS,
        }
        return [fault for fault, holds in found.items() if holds]


class Place:
    """A folder in which commands run: a collection, results, pairs, and what is none of these."""

    def __init__(self, root: Path, model: str) -> None:
        self.root = root
        self._model = model
        texts = [f"word{i} word{i + 1} word{i + 2} word{i + 3}" for i in range(60)]
        write_collection(
            root / "data" / "toy",
            ((f"d{i}", "", text) for i, text in enumerate(texts)),
            ((f"q{i}", f"word{i} word{i + 1}") for i in range(60)),
            {
                "train": ((f"q{i}", f"d{i}", 1) for i in range(40)),
                "test": ((f"q{i}", f"d{i}", 1) for i in range(40, 60)),
            },
        )
        (root / "pairs.jsonl").write_text("".join(f'{{"query": "q {t}", "positive": "p {t}"}}\n' for t in texts))
        (root / "file.txt").write_text("one\ntwo\n", encoding="utf-8")
        (root / "bytes.bin").write_bytes(bytes(range(256)))
        (root / "empty").mkdir()
        os.mkfifo(root / "pipe")
        (root / "list.toml").write_text("[[training]]\nepochs = 1\n", encoding="utf-8")
        (root / "five.toml").write_text("preset = 5\n", encoding="utf-8")
        (root / "section.toml").write_text("training = 5\n", encoding="utf-8")
        (root / "nul.toml").write_text('[data]\ntrain = "a\\u0000b"\n', encoding="utf-8")
        (root / "array.json").write_text("[]", encoding="utf-8")
        for name in ("null-model", "array-model"):
            (root / name).mkdir()
            (root / name / "modules.json").write_text("null" if name == "null-model" else "[1]", encoding="utf-8")
        (root / "broken-results" / "cells").mkdir(parents=True)
        (root / "broken-results" / "cells" / "result.json").write_text("{", encoding="utf-8")
        self.cache = root / "cache"
        self.run(Case("", ("eval", "collection", "data/toy", "--model", "bm25", "--output", "results")))

    def run(self, case: Case) -> Outcome:
        """Run the command in this process."""
        before = set(self._names())
        variables = {"RAGCUN_CACHE_DIR": str(self.cache), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        began = time.process_time()
        words = [self._model if word == "MODEL" else word for word in case.arguments]
        with (
            mock.patch.dict(os.environ, variables | dict(case.environment)),
            mock.patch.object(sys, "stdin", io.StringIO()),
            contextlib.chdir(self.root),
        ):
            code, output, errors = run_here(words)
        seconds = time.process_time() - began
        for number, handler in handlers.items():
            signal.signal(number, handler)
        created = sorted(set(self._names()) - before)
        return Outcome(code, output, errors, tuple(created), seconds)

    def _names(self) -> Iterator[str]:
        return (path.relative_to(self.root).as_posix() for path in self.root.rglob("*"))


def run_here(words: Sequence[str]) -> tuple[int, str, str]:
    """Run `ragcun WORDS` in this process; return the exit code and what was printed to both streams."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["ragcun", *words]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:  # what the command's own boundary let through
            errors.write(f"Traceback: {type(error).__name__}: {error}\n")
            code = 1
    return int(code or 0), output.getvalue(), errors.getvalue()


# A command line of each command to which one wrong value is added.
COMMANDS: dict[str, str] = {
    "data beir": "ls",
    "data wiki": "--offline",
    "data msmarco": "--offline",
    "data pydocs": "new",
    "data pairs": "--documents file.txt --output new",
    "data negatives": "pairs.jsonl --output new.jsonl",
    "train": "--train-data data/toy --base-model MODEL",
    "ablate": "--grid lambda_isotropy=0,1 --train-data data/toy --base-model MODEL",
    "run": "--train-data data/toy --base-model MODEL --datasets toy --data-dir data",
    "plan": "--train-data data/toy --base-model MODEL",
    "eval beir": "--datasets toy --data-dir data --model bm25 --output new",
    "eval collection": "data/toy --model bm25 --output new",
    "eval compare": "results",
    "eval show": "results",
    "eval verify": "--data-dir data --datasets scifact",
    "eval abstain": "data/toy --model MODEL --output new",
    "eval compress": "data/toy --model MODEL --output new",
    "eval neighbours": "data/toy --model MODEL --output new",
    "eval diff": "results results",
    "data audit": "pairs.jsonl --test data/toy --results results",
    "claims ls": "",
    "claims run": "data/toy --model MODEL --output new",
    "export": "MODEL --to faiss --data data/toy --output new",
    "analyze isotropy": "--model MODEL --data data/toy",
    "analyze tradeoff": "results",
    **{f"report {form}": "results" for form in FORMS},
    "report paper": "results --output new",
    "report verdict": "results",
    "report checklist": "results",
    "doctor": "",
    "store ls": "--store empty",
    "store verify": "--store empty",
    "store prune": "--name none --store empty",
    "presets show": "demo",
}
# Options whose text is the path of a file or folder that must be there.
_READ = {"--train-data", "--val-data", "--out-of-domain", "--load-checkpoint", "--base-model", "--model", "--data"}
_READ |= {"--documents", "--isotropy", "--config", "--pretrain-data", "--pretrain-val-data"}
# Options whose text is one of a list of names.
_NAMED = {"--preset", "--format", "--gpu", "--metric", "--runtime", "--device", "--split", "--datasets", "--models"}
_NAMED |= {"--memory", "--name", "--baselines", "--baseline", "--openai-base-url", "--pairs", "--grid", "--interpolate"}
_NAMED |= {"--negatives-model", "--query-model", "--columns", "--from", "--average", "--published", "--order"}


def generated() -> Iterator[Case]:
    """The cases of the command tree."""
    root: Any = get_command(app)
    for line, given in COMMANDS.items():
        command = root
        for name in line.split():
            command = command.commands[name]
        for parameter in command.get_params(typer.Context(command)):
            if parameter.param_type_name == "option" and not parameter.is_flag and parameter.name != "help":
                option = parameter.opts[0]
                others = re.sub(rf"(^| ){option} \S+", "", given).split()
                if (line, option) in _NOT_LOOKED_AT:
                    continue
                for kind, value in _wrong(parameter):
                    setting = option.strip("-").removesuffix("-data").replace("-", "_")
                    named = (option, setting, *filter(None, [value]))
                    yield Case(kind, (*line.split(), *others, option, value), named)


def _wrong(parameter: Any) -> Iterator[tuple[str, str]]:
    info, annotation, option = parameter.type_descriptor.parameter_info, parameter.type_descriptor.annotation, ""
    option = parameter.opts[0]
    inner = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    if inner in (int, float):
        yield from ((f"number: {value}", value) for value in _NUMBERS)
        if inner is int:
            yield "number: huge", "9" * 40
        yield "number: empty", ""
        if inner is int:
            yield "number: fraction", "1.5"
    elif inner is Path or option in _READ:
        yield "path: empty", ""
        yield "path: NUL", "a\0b"
        yield "path: through a file", "file.txt/below"
        yield "path: name too long", 300 * "x" + "/below"
        if inner is Path:
            yield "path: device", "/dev/full"
            yield "path: pipe", "pipe"
        if option in _READ or info.exists:
            yield "path: missing", "nowhere/at/all"
        if (
            not info.file_okay
            or option == "--data-dir"
            or option in {"--model", "--base-model", "--load-checkpoint", "--data"}
        ):
            yield "path: file for folder", "file.txt"
        if not info.dir_okay or option in _READ:
            yield "path: folder for file", "empty"
    elif get_origin(inner) is Literal or "|" in (parameter.metavar or "") or option in _NAMED:
        yield "choice: none of them", _TEXT
        yield "choice: empty", ""
        yield "choice: a comma alone", " , "
        yield "choice: NUL", "a\0b"


# Names that a command passes on (a plan asks no hub and opens no collection that is not there), any name of a folder,
# and what is read only where there is an ablation.
_NOT_LOOKED_AT = {
    ("plan", "--baselines"),
    ("ablate", "--baselines"),
    ("export", "--to"),
    ("analyze tradeoff", "--metric"),
}


# Command lines that are wrong otherwise.
DAMAGE = "damage"  # of a file, which is a failure and not a mistake in the command
OTHERS: dict[str, list[str]] = {
    DAMAGE: [
        "eval show broken-results",
        "eval compare broken-results broken-results",
        "report latex broken-results",
        "report paper broken-results --output new",
    ],
    "command": ["frobnicate", "data frobnicate", "train --frobnicate", "presets show", "presets show hybird"],
    "argument": [
        "eval collection nowhere --model bm25",
        "eval collection file.txt --model bm25",
        "eval collection empty --model bm25",
        "eval collection --model bm25",
        "eval collection data/toy",
        "eval show nowhere",
        "eval show file.txt",
        "eval compare nowhere",
        "eval compare file.txt",
        "eval compare A=",
        "eval compare =data",
        "report latex nowhere",
        "report latex file.txt",
        "report word empty",
        "report paper nowhere --output new",
        "report paper results --datasets nonesuch --output new",
        "report paper results --order nobody --output new",
        "report paper results --published nobody --output new",
        "report markdown empty --compile",
        "data beir nonesuch",
        "data negatives nowhere.jsonl --output new.jsonl",
        "data negatives file.txt --output new.jsonl",
        "data negatives bytes.bin --output new.jsonl",
        "data negatives pairs.jsonl --output new.csv",
        "data negatives pairs.jsonl --output file.txt/new.jsonl",
        "data negatives empty --output new.jsonl",
        "data pydocs file.txt",
        "data pydocs file.txt/below",
        "data pydocs data",
        "data pairs --documents bytes.bin --output new",
        "data pairs --documents pairs.jsonl --output new",
        "data pairs --documents empty --output new",
    ],
    "model": [
        "eval collection data/toy --model null-model",
        "eval collection data/toy --model array-model",
        "eval collection data/toy --model bm25:k1=nan",
        "eval collection data/toy --model bm25:k1=inf",
        "eval collection data/toy --model bm25:k1=-1",
        "eval collection data/toy --model bm25:b=2",
        "eval collection data/toy --model bm25:frob=2",
        "eval collection data/toy --model bm25:language=klingon",
        "eval collection data/toy --model data/toy:max_length=0",
        "eval collection data/toy --model minilm:max_length=0",
        "eval collection data/toy --model minilm:max_length=-1",
        "eval collection data/toy --model minilm:max_length=x",
        "eval collection data/toy --model minilm:truncate_dim=0",
        "eval collection data/toy --model minilm:pooling=frob",
        "eval collection data/toy --model rrf:bm25",
        "eval collection data/toy --model rrf:bm25+",
        "eval collection data/toy --model openai:",
        "eval collection data/toy --model openai:x@0",
        "eval collection data/toy --model openai:x@²",
        "eval collection data/toy --model openai:x --openai-base-url nonsense",
        "eval collection data/toy --model bm25 --model bm25:k1=1 --model bm25:k1=1.0",
        "eval collection data/toy --model A=bm25 --model A=bm25:k1=1",
        "eval collection data/toy --model =bm25",
        "eval collection data/toy --model bm52",
    ],
    "flag that plays no part": [
        "train --train-data data/toy --pretrain-data data/toy",
        "train --train-data data/toy --pretrain-val-data data/toy",
        "train --train-data data/toy --compile",
        "train --train-data data/toy --base-model MODEL --revision main",
        "train --train-data data/toy --mini-batch-size 4",
        "train --train-data data/toy --out-of-domain data/toy",
        "train --train-data data/toy --stage pretrain",
        "data msmarco --offline --pairs ²",
        "data audit pairs.jsonl --test data/toy --train-split dev",
        "export MODEL --to faiss --data data/toy --output new --repo a/b",
        "export MODEL --to codes --data data/toy --output new --licence mit",
        "export MODEL --to onnx --output new --results results",
        "export MODEL --to onnx --output new --private",
        "export MODEL --to new --store empty",
        "export bm25 --to ir_metadata --results results --output new --data data/toy",
        "data pairs --documents file.txt --output new --query-model x",
        "data pairs --documents file.txt --output new --negatives-model x",
        "data pairs --documents file.txt --output new --negatives bm25 --negatives-model x",
        "data pairs --documents file.txt --output new --negatives dense",
        "data negatives pairs.jsonl --output new.jsonl --negatives-model x",
        "data negatives pairs.jsonl --output new.jsonl --negatives dense",
        "eval collection data/toy --model bm25 --openai-base-url nonsense",
        "eval show results --json --csv",
        "store verify --store nowhere",
        "store ls --store nowhere",
        "store prune --store nowhere --unused-for 1",
        "store prune --unused-for -1",
        "store prune",
    ],
    "file of settings": [
        f"{command} --config {path}"
        for command in ("train", "run", "plan", "ablate --grid lambda_isotropy=0")
        for path in (
            "five.toml",
            "section.toml",
            "list.toml",
            "nul.toml",
            "bytes.bin",
            "empty",
            "file.txt",
            "none.toml",
        )
    ],
    "grid": [
        f"ablate --train-data data/toy --grid {grid}"
        for grid in (
            "frob=1",
            "=1",
            "epochs=",
            "epochs",
            "epochs=1,1",
            "epochs=x",
            "epochs=0",
            "base=a,b",
            ",",
            "=",
            "lambda_isotropy=nan",
            "lambda_isotropy=-1",
            "epochs=1 --grid epochs=2",
            "temperature=inf",
            "seed=1",
        )
    ],
    "shares": [
        f"data pairs --documents file.txt --output new --split {split}"
        for split in ("nan,nan,nan", "inf,0,0", "1,0", "0.5,0.5,0.5", "-1,1,1", "a,b,c", ",,", "0,0.5,0.5", "1,0,0,0")
    ],
}
_SETTINGS = "train --train-data data/toy --base-model MODEL"
VARIABLES = {
    "RAGCUN_TRAINING__EPOCHS": ("x", "0", "nan", "1e400"),
    "RAGCUN_TRAINING__LEARNING_RATE": ("nan", "inf", "-1", "²"),
    "RAGCUN_TRAINING__TRACK": ("frob", "[frob", "tensorboard,frob"),
    "RAGCUN_MODEL__HEAD": ("frob",),
    "RAGCUN_DATA__OUT_OF_DOMAIN": ("[x", "[1]"),
    "RAGCUN_PRESET": ("frob", "5"),
    "RAGCUN_FROB": ("1",),
    "RAGCUN_TRAINING": ("5", "[]", "{"),
    "WORLD_SIZE": ("x", "0", "²"),
    "RANK": ("x", "-1"),
    "LOCAL_RANK": ("x", "-1"),
}


def _dotted(variable: str) -> str:
    return variable.removeprefix("RAGCUN_").lower().replace("__", ".")


def cases() -> list[Case]:
    """All of them."""
    listed = [Case(kind, tuple(line.split())) for kind, lines in OTHERS.items() for line in lines]
    variables = [
        Case("variable", tuple(_SETTINGS.split()), (name, _dotted(name)), ((name, value),))
        for name, of in VARIABLES.items()
        for value in of
    ]
    return [*generated(), *listed, *variables]


def bench(every: int, model: str) -> int:
    """Run them, print what is not clean and the table, and return how many are not."""
    for module in ("sentence_transformers", "bm25s", "ir_measures", "matplotlib.figure", "accelerate", "datasets"):
        importlib.import_module(module)
    ran, clean = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), model)
        for case in cases()[::every]:
            kind = case.kind.partition(":")[0]
            outcome = place.run(case)
            ran[kind] += 1
            clean[kind] += not outcome.faults(case)
            if outcome.faults(case):
                line = " ".join([*(f"{name}={value}" for name, value in case.environment), *map(repr, case.arguments)])
                last = (outcome.errors.strip().splitlines() or [""])[-1]
                print(f"{case.kind}: {line}\n    {'; '.join(outcome.faults(case))}\n    {last[:300]}")
    for kind in ran:
        print(f"{kind:28} {ran[kind]:5} {clean[kind]:5}")
    print(f"{clean.total()} of {ran.total()} clean")
    return ran.total() - clean.total()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="minilm", help="an encoder that is here")
    given = parser.parse_args()
    sys.exit(bench(given.every, os.fspath(resolve_model(given.model).path)) > 0)
