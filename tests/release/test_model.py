"""A released model: what is in the folder, what its card says, and that others can load it as the card tells."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from children import ragcun
from hub import COMMIT, Hub
from ragcun.embedding.known import KNOWN
from ragcun.embedding.origin import Origin, origin_of
from ragcun.embedding.resolve import ResolvedModel
from ragcun.errors import UserError
from ragcun.files import read_json
from ragcun.release.model import Release

TOKEN = "hf_secret_of_this_test"  # noqa: S105


def snippet(card: str) -> str:
    found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_card_of_a_folder_says_all_and_its_snippet_runs(experiment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "released"
    ragcun("export", str(experiment), "--to", str(folder), "--licence", "apache-2.0")
    card = (folder / "README.md").read_text("utf-8")
    assert {path.name for path in folder.iterdir()} >= {"modules.json", "model.safetensors", "README.md"}
    assert "base_model" not in card, "the tiny base is on no hub"
    for said in (
        "license: apache-2.0",
        "# released",
        "| training pairs | animals | train | 24 | not stated |",
        "lambda_isotropy = 1",
        "seed = 0",
        "## Limits",
        "@misc{released",
        "| animals | test | in-domain | 8 |",
        "Scores are those of one training",
        "The model was not evaluated on any dataset that it was not trained on.",
    ):
        assert said in card, said
    assert not re.search(r"(?<![\w:/.])/(tmp|home|root)/", card), "no path of this machine"
    assert re.search(
        r"\| animals \|.*\[\d+\.\d\d, \d+\.\d\d\] \| \d+\.\d\d \| [+-]\d+\.\d\d \[.*\] \| \d\.\d{4} \|", card
    )
    done = subprocess.run(
        [sys.executable, "-c", snippet(card)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "tensor([[" in done.stdout
    with pytest.raises(UserError, match="already exists"):
        Release.of(str(experiment)).write(folder)


def test_the_card_that_training_writes_has_no_path_either(experiment: Path) -> None:
    card = (experiment / "model" / "README.md").read_text("utf-8")
    assert "# isotropic-tiny" in card
    assert 'SentenceTransformer("isotropic-tiny/model")' in card
    assert str(experiment.parent) not in card
    assert "was not evaluated" in card


def test_a_base_is_called_by_its_hub_id_and_revision(tmp_path: Path, tiny_model: Path) -> None:
    local = ResolvedModel("tiny", tiny_model, "", str(tiny_model))
    assert origin_of(local) == Origin("tiny")
    hub = ResolvedModel("tiny", tiny_model, "", f"lab/tiny@{COMMIT}")
    assert origin_of(hub) == Origin("lab/tiny", COMMIT)
    assert hub.path.is_absolute()
    assert origin_of(hub).markdown() == f"[lab/tiny](https://huggingface.co/lab/tiny) at revision `{COMMIT}`"
    known = KNOWN["mpnet"]
    assert str(known.weights) in Origin(known.hub, None, known.weights).markdown()


def test_a_model_is_uploaded_and_loads_from_the_hub(experiment: Path, tmp_path: Path) -> None:
    with Hub().serve() as hub:
        hub.uploads = tmp_path / "uploads"
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [sys.executable, "-m", "ragcun", "export", str(experiment), "--to", "hub", "--json", "--repo"]

        def run(repo: str, **variables: str) -> subprocess.CompletedProcess[str]:
            variables = {**environment, **variables}
            return subprocess.run([*command, repo], capture_output=True, text=True, env=variables, check=False)

        refused = run("lab/isotropic")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "uploading needs a token" in refused.stderr
        done = run("lab/isotropic", HF_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        assert f'"commit": "{COMMIT}"' in done.stdout
        assert TOKEN not in done.stdout + done.stderr
        assert f"Bearer {TOKEN}" in hub.tokens
        uploaded = tmp_path / "uploads" / "lab" / "isotropic"
        assert not [path for path in uploaded.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
        for name in ("model.safetensors", "modules.json"):
            assert (uploaded / name).read_bytes() == (experiment / "model" / name).read_bytes()
        card = (uploaded / "README.md").read_text("utf-8")
        assert 'SentenceTransformer("lab/isotropic")' in card
        loaded = subprocess.run(
            [sys.executable, "-c", snippet(card)], capture_output=True, text=True, env=environment, check=False
        )
        assert "tensor([[" in loaded.stdout, loaded.stderr
        hub.uploads = None
        refused = run("lab/isotropic", HF_TOKEN=TOKEN)
        assert refused.returncode == 2
        assert "refuses the token (403)" in refused.stderr
        assert TOKEN not in refused.stderr


def test_what_is_missing_is_said(experiment: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no manifest\.json beside it"):
        Release.of(str(tiny_model))
    with pytest.raises(UserError, match="has no results of 'isotropic-tiny', only of other"):
        results = tmp_path / "others"
        other = results / "cells" / "other" / "animals" / "test"
        other.mkdir(parents=True)
        cell = next((experiment / "cells").glob("*tiny*/animals/test"))
        content = {**read_json(cell / "result.json"), "label": "other", "model": "bm25"}
        content.pop("xxh3_128")
        (other / "result.json").write_text(json.dumps(content), "utf-8")
        Release.of(str(experiment), [str(results)]).card("x", "x")
