"""What is wrong is refused before torch is imported, whatever it is; and a name means the same in every command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRAINED = "--train-data data/toy --base-model MODEL"
TRAIN = [
    ("", "there is no training data"),
    ("--train-data nowhere", "nowhere: no such file or folder"),
    ("--train-data data/toy --base-model minlm", "did you mean minilm"),
    ("--train-data data/toy --base-model ./nowhere", "no such folder"),
    ("--train-data data/broken --base-model MODEL", "bad JSON: 1"),
    ("--train-data data/unasked --base-model MODEL", "has no usable row"),
    (f"{TRAINED} --output-dim 64", "give --output-dim 32 or less"),
    (f"{TRAINED} --nested-dims 64", "--nested-dims 64"),
    (f"{TRAINED} --val-data nowhere", "nowhere: no such"),
    (f"{TRAINED} --general-data nowhere", "--general-data nowhere: no such"),
    (f"{TRAINED} --interpolate auto --out-of-domain nowhere", "nowhere: no such"),
    (f"{TRAINED} --runtime opnvino", "no such runtime"),
    (f"{TRAINED} --preset hybird", "did you mean hybrid"),
    (f"{TRAINED} --head lineer", "did you mean linear"),
    (f"{TRAINED} --max-length 1000", "only 64 positions"),
    (f"{TRAINED} --precision fp16 --runtime openvino", "does not compute in fp16"),
    (f"{TRAINED} --scheduler cosin", "did you mean cosine"),
    (f"{TRAINED} --no-freeze-base --head local", "needs a frozen base"),
]
NOT_PLANNED = {line for line, said in TRAIN if "positions" in said or "compute in" in said}  # a base may be elsewhere
SCORED = [
    (f"{TRAINED} --datasets SciFcat", "did you mean scifact"),
    (f"{TRAINED} --datasets broken --data-dir data", "broken: bad JSON: 1"),
    (f"{TRAINED} --datasets data/broken", "broken: bad JSON: 1"),
    (f"{TRAINED} --datasets data/toy --split tset", "no split 'tset'"),
    (f"{TRAINED} --datasets toy --data-dir nowhere", "no collection 'toy'"),
    (f"{TRAINED} --datasets pydcs", "did you mean pydocs"),
]
GRID = [
    (f"{TRAINED} --grid lambda_isotropi=1", "did you mean lambda_isotropy"),
    (f"{TRAINED} --grid head=mlp,lokal", "(did you mean local?)"),
    (f"{TRAINED} --grid output_dim=16,64", "give --output-dim 32 or less"),
]
MODELS = ("eval collection", "eval compress", "eval abstain", "eval neighbours", "claims run")
CASES = [
    *((f"train {line}", said) for line, said in TRAIN),
    *((f"run --datasets data/toy {line}", said) for line, said in TRAIN),
    *((f"ablate --grid dropout=0,0.1 {line}", said) for line, said in TRAIN),
    *((f"plan {line}", said) for line, said in TRAIN if line not in NOT_PLANNED),
    *((f"{command} {line}", said) for command in ("run", "ablate --grid dropout=0", "plan") for line, said in SCORED),
    *((f"{command} {line}", said) for command in ("ablate", "plan") for line, said in GRID),
    (f"run {TRAINED}", "give --datasets"),
    (f"run {TRAINED} --datasets data/toy --baselines A=bm25 --baselines A=MODEL", "would both be called 'A'"),
    (f"train {TRAINED} --output-dir MODEL", "contains a model"),
    (f"run {TRAINED} --datasets data/toy --baselines bm52", "did you mean bm25"),
    (f"plan {TRAINED} --gpu h1000", "did you mean h100"),
    (f"ablate {TRAINED} --grid dropout=0 --datasets data/toy --endpoint compress:3bit", "did you mean 4bit"),
    (f"ablate {TRAINED} --grid dropout=0 --datasets data/toy --endpoint abstain:tpo", "did you mean top"),
    (f"ablate {TRAINED} --grid dropout=0 --datasets data/toy --endpoint neighbours:hsnw=8", "no such endpoint"),
    ("eval beir --datasets SciFcat --model bm25", "did you mean scifact"),
    ("eval beir --datasets toy --data-dir data --model bm52", "did you mean bm25"),
    ("eval beir --datasets pydocs --model bm25", "ragcun data pydocs"),
    *((f"{command} data/toy --model minlm", "did you mean minilm") for command in MODELS),
    *((f"{command} data/broken --model MODEL", "bad JSON: 1") for command in MODELS),
    *((f"{command} data/nowhere --model MODEL", "no such folder") for command in MODELS),
    *((f"{command} SciFcat --model MODEL", "did you mean scifact") for command in MODELS[1:]),
    *((f"{command} toy --data-dir data --split tset --model MODEL", "no split 'tset'") for command in MODELS[1:]),
    ("claims run data/toy --model bm25", "is not an encoder"),
    ("claims run data/toy --model MODEL --claim frob", "is not a claim"),
    ("claims run data/toy --model A=MODEL --model A=minilm", "would both be called 'A'"),
    ("eval compress data/toy --model bm25", "has no vectors to compress"),
    ("eval compress data/toy --model MODEL --codes 3bit", "did you mean 4bit"),
    ("eval compress data/toy --model MODEL --dims 64", "more than the 32 of the model"),
    ("eval collection data/toy --model MODEL:truncate_dim=64", "more than the 32 of the model"),
    ("eval collection data/toy --model MODEL --max-length 1000", "only 64 positions"),
    ("eval compress data/toy --model MODEL --codes pq7", " pq7: 32 dimensions are not a multiple of 7 bytes"),
    ("eval compress data/toy --model MODEL --codes opq7", " opq7: 32 dimensions are not a multiple of 7 bytes"),
    ("eval compress data/toy --model MODEL --codes trellis400", "at most 24 bytes"),
    ("eval neighbours data/toy --model MODEL --index hnsw", "leave --index out"),
    ("export minlm --to onnx --output new", "did you mean minilm"),
    ("export MODEL --to codes --data data/toy --output new", "names no codec"),
    ("export bm25 --to faiss --data data/toy --output new", "is not an encoder"),
    ("export MODEL:codec=int8 --to faiss --data data/toy --output new", "an index has whole vectors; leave codec out"),
    ("export MODEL:truncate_dim=8 --to faiss --data data/toy --output new", "leave its options out"),
    ("data audit nowhere --test data/toy", "nowhere: no such"),
    ("data audit data/toy --test SciFcat", "did you mean scifact"),
    ("data audit data/toy --test broken --data-dir data", "bad JSON: 1"),
    ("data audit data/toy --test data/toy --split tset", "no split 'tset'"),
    ("data audit data/toy --test data/toy --model minlm", "did you mean minilm"),
    ("data audit data/toy --test data/toy --model bm25", "not an encoder"),
    ("analyze isotropy --model minlm --data data/toy", "did you mean minilm"),
    ("analyze isotropy --model bm25 --data data/toy", "not an encoder"),
    ("analyze isotropy --model MODEL --data SciFcat", "did you mean scifact"),
    ("analyze isotropy --model MODEL --data small", "name one of them"),
    ("analyze isotropy --model MODEL --data data/toy --split tset", "no split 'tset'"),
    ("analyze isotropy --model A=MODEL --model A=minilm --data data/toy", "would both be called 'A'"),
]
REFUSED = """
import contextlib, io, json, signal, sys
from ragcun.cli.main import main
signal.signal = lambda *_: None
found = []
for case in json.load(sys.stdin):
    output, errors, sys.argv = io.StringIO(), io.StringIO(), ["ragcun", *case]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code
    heavy = [name for name in ("torch", "scipy.stats", "matplotlib", "datasets") if name in sys.modules]
    found.append([code, output.getvalue(), errors.getvalue(), heavy])
print(json.dumps(found))
"""


def test_wrong_inputs_are_refused_before_torch_is_imported(tmp_path: Path, tiny_model: Path, collection: Path) -> None:
    shutil.copytree(collection, tmp_path / "data" / "toy")
    for name, file, text in (("broken", "corpus.jsonl", '{"_id": "x"\n'), ("unasked", "queries.jsonl", "")):
        path = Path(shutil.copytree(collection, tmp_path / "data" / name)) / file
        path.write_text((path.read_text(encoding="utf-8") if text else "") + text, encoding="utf-8")
    lines = [[word.replace("MODEL", str(tiny_model)) for word in line.split()] for line, _ in CASES]
    code = [sys.executable, "-c", REFUSED]
    done = subprocess.run(code, check=True, capture_output=True, text=True, cwd=tmp_path, input=json.dumps(lines))
    for (line, said), (code_, output, errors, heavy) in zip(CASES, json.loads(done.stdout), strict=True):
        assert (code_, output, heavy) == (2, "", []), f"{line}: {errors}"
        assert said in errors, line
        assert len(errors.splitlines()) == 1, line
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("command", ["eval beir", *MODELS[1:], "data audit", "analyze isotropy"])
def test_every_command_that_scores_resolves_datasets_by_one_function(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    from typer.testing import CliRunner

    from ragcun.cli.main import app
    from ragcun.evaluation import tasks

    asked = []

    def choose(names: list[str], data_dir: Path | None = None, pydocs: Path | None = None) -> list[Path]:
        asked.append(([*names], data_dir))
        raise KeyboardInterrupt

    monkeypatch.setattr(tasks, "choose", choose)
    option = {"eval beir": ["--datasets"], "data audit": ["--test"], "analyze isotropy": ["--data"]}.get(command, [])
    model = [] if command == "data audit" else ["--model", str(tiny_model)]
    training = [str(tmp_path / "pairs.jsonl")] if command == "data audit" else []
    (tmp_path / "pairs.jsonl").write_text('{"query": "a", "positive": "b"}\n' * 3, encoding="utf-8")
    folder = ["--data-dir", str(tmp_path), "--store", str(tmp_path / "store")]
    CliRunner().invoke(app, [*command.split(), *training, *option, "cqa", *model, *folder])
    assert asked == [(["cqa"], tmp_path)]
