"""From names to models: folders, experiments, and a hub that answers, refuses or is not there."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub import COMMIT, Hub
from ragcun.embedding.known import KNOWN, KnownModel
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import parse_label, resolve_model
from ragcun.errors import RagcunError, UserError
from ragcun.files import file_sha256

RESOLVE = """
import json, sys
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import RagcunError
try:
    found = resolve_model(sys.argv[1], *sys.argv[2:])
    print(json.dumps({"label": found.label, "path": str(found.path), "source": found.source, "sha": found.fingerprint}))
except RagcunError as error:
    print(json.dumps({"error": str(error), "code": error.exit_code}))
"""


def resolve(name: str, home: Path, endpoint: str, *revision: str, **variables: str) -> dict[str, str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **variables}
    command = [sys.executable, "-c", RESOLVE, name, *revision]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_folder_and_an_experiment_are_models(tmp_path: Path, tiny_model: Path) -> None:
    experiment = tmp_path / "mine"
    experiment.mkdir()
    (experiment / "model").symlink_to(tiny_model)

    assert resolve_model(str(tiny_model)).path == tiny_model
    assert resolve_model(str(experiment)).label == "mine"
    assert resolve_model(str(experiment)).fingerprint == resolve_model(str(tiny_model)).fingerprint
    with pytest.raises(UserError, match="neither a model"):
        resolve_model(str(tmp_path))
    with pytest.raises(UserError, match="no such folder"):
        resolve_model("./absent")
    with pytest.raises(UserError, match="no such folder"):
        resolve_model("a/b/c")


@pytest.mark.parametrize(
    ("manifest", "label"),
    [
        ('{"label": "trained head", "identity": "0"}', "trained head"),
        ('{"name": "another tool\'s"}', "mine"),
        ('{"label": "another tool\'s"}', "mine"),
        ("[]", "mine"),
        ("not JSON", "mine"),
    ],
)
def test_only_our_own_manifest_names_a_model(manifest: str, label: str, tmp_path: Path, tiny_model: Path) -> None:
    experiment = tmp_path / "mine"
    shutil.copytree(tiny_model, experiment / "model")
    (experiment / "manifest.json").write_text(manifest, encoding="utf-8")
    assert resolve_model(str(experiment)).label == label


def test_a_folder_whose_name_says_nothing_is_known_by_what_it_holds(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "lab" / "model"))
    assert resolve_model(str(folder)).label == "lab"
    (folder / "README.md").write_text("---\nlicence: none\n---\n\n# some/all-tiny-v1\n\nA model.\n", encoding="utf-8")
    assert resolve_model(str(folder)).label == "all-tiny-v1"
    (folder / "README.md").write_text("# SentenceTransformer based on some/other\n", encoding="utf-8")
    assert resolve_model(str(folder)).label == "lab"
    assert resolve_model(str(folder.rename(tmp_path / "lab" / "bought"))).label == "bought"


def test_known_weights_name_a_folder_unless_a_head_is_on_them(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownModel("some/tiny", weights=file_sha256(tiny_model / "model.safetensors"))
    monkeypatch.setitem(KNOWN, "tiny", known)
    folder = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    assert resolve_model(str(folder)).label == "tiny"
    (folder / "2_Dense").mkdir()
    shutil.copy(folder / "model.safetensors", folder / "2_Dense")
    assert resolve_model(str(folder)).label == "copy"


@pytest.mark.parametrize(
    ("given", "label", "model"),
    [
        ("Ours=experiments/x", "Ours", "experiments/x"),
        (" Ours, tuned = minilm:pooling=cls", "Ours, tuned", "minilm:pooling=cls"),
        ("bm25:k1=1.2,b=0.75", None, "bm25:k1=1.2,b=0.75"),
        ("rrf:bm25:b=0.5+minilm", None, "rrf:bm25:b=0.5+minilm"),
        ("minilm", None, "minilm"),
    ],
)
def test_a_name_of_a_row_stands_before_the_model(given: str, label: str | None, model: str) -> None:
    assert parse_label(given) == (label, model)


def test_a_folder_with_an_equals_sign_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lr=3").mkdir()
    assert parse_label(str(tmp_path / "lr=3")) == (None, str(tmp_path / "lr=3"))
    for nothing in ("=minilm", "Ours="):
        with pytest.raises(UserError, match="not NAME=MODEL"):
            parse_label(nothing)


@pytest.mark.parametrize("module", ["", "2_Dense", "2_Router/query_0_Dense"])
def test_a_module_whose_weights_are_a_pickle_alone_is_refused(module: str, tmp_path: Path, tiny_model: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    listed = json.loads((folder / "modules.json").read_text("utf-8"))
    listed.append({"idx": 2, "name": "2", "path": module.partition("/")[0], "type": "never.imported"})
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    (folder / module).mkdir(parents=True, exist_ok=True)
    (folder / module / "pytorch_model.bin").write_bytes(b"pickle")
    if not module:
        (folder / "model.safetensors").unlink()

    with pytest.raises(UserError, match=r"pytorch_model\.bin would have to be unpickled, which ragcun never does"):
        load_model(resolve_model(str(folder)))


def test_a_pickle_beside_safetensors_is_left_alone(tmp_path: Path, tiny_model: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "pytorch_model.bin").write_bytes(b"pickle")

    assert load_model(resolve_model(str(folder))).get_embedding_dimension() == 32


def test_packaged_weights_that_are_not_the_official_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "carrier" / "model").mkdir(parents=True)
    (tmp_path / "carrier" / "__init__.py").touch()
    (tmp_path / "carrier" / "model" / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(KNOWN, "some", KnownModel("some/model", weights="0" * 64, package=("carrier", "model")))

    for name in ("some/model", "some", "Some"):
        with pytest.raises(RagcunError, match="not the official weights of some/model"):
            resolve_model(name)


def test_a_folder_has_no_revision_and_nobody_no_home(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="only models on the hub have revisions"):
        resolve_model(str(tiny_model), revision="main")
    with pytest.raises(UserError, match="the home folder is unknown"):
        resolve_model("~nobody-of-that-name/model")


def test_an_experiment_without_its_manifest_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "e" / "model")
    (tmp_path / "e" / "settings.toml").touch()
    (tmp_path / "e" / "checkpoints").mkdir()
    with pytest.raises(RagcunError, match=r"manifest\.json: missing; give the training's command again"):
        resolve_model(str(tmp_path / "e"))


def test_a_misspelt_name_says_what_was_meant_and_no_hub_is_asked(tmp_path: Path) -> None:
    with Hub({}).serve() as hub:
        misspelt = resolve("minilmm", tmp_path, hub.url)
        assert (misspelt["error"], misspelt["code"]) == ("minilmm: no such model (did you mean minilm?)", 2)
        assert hub.requests == []
        assert "no such model" in resolve("bert-large", tmp_path, hub.url)["error"]
        assert hub.requests


@pytest.mark.long
def test_a_model_is_downloaded_once_and_found_offline(tmp_path: Path, tiny_model: Path) -> None:
    with Hub({"lab/tiny": tiny_model}).serve() as hub:
        found = resolve("lab/tiny", tmp_path, hub.url, HF_TOKEN="hf_secret")  # noqa: S106
        assert found["source"] == f"lab/tiny@{COMMIT}"
        assert found["label"] == "tiny"
        assert Path(found["path"], "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
        pinned = resolve(f"lab/tiny@{COMMIT}", tmp_path, hub.url)
        assert pinned == found | {"label": f"tiny@{COMMIT}"}
        assert "Bearer hf_secret" in hub.tokens
        assert any("model.safetensors" in request for request in hub.requests)
        asked = len(hub.requests)
        again = resolve("lab/tiny", tmp_path, hub.url, HF_HUB_OFFLINE="1")
        assert again == found
        assert len(hub.requests) == asked


def test_what_other_tools_keep_beside_a_model_does_not_change_it(tmp_path: Path, tiny_model: Path) -> None:
    with Hub({"lab/tiny": tiny_model}).serve() as hub:
        found = resolve("lab/tiny", tmp_path, hub.url)
        for name in ("README.md", "pytorch_model.bin", "onnx/model.onnx"):
            file = Path(found["path"], name)
            file.parent.mkdir(exist_ok=True)
            file.write_text("not of the model", encoding="utf-8")
        assert resolve("lab/tiny", tmp_path, hub.url) == found
        assert resolve("lab/tiny", tmp_path, hub.url, HF_HUB_OFFLINE="1") == found
        assert found["sha"] == resolve_model(str(tiny_model)).fingerprint


@pytest.mark.long
def test_what_the_hub_refuses_is_one_line(tmp_path: Path, tiny_model: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}", encoding="utf-8")
    (pickled / "pytorch_model.bin").write_bytes(b"pickle")
    models = {"lab/tiny": tiny_model, "lab/secret": tiny_model, "lab/pickled": pickled}
    with Hub(models, gated=frozenset({"lab/secret"})).serve() as hub:
        absent = resolve("lab/absent", tmp_path / "home", hub.url)
        assert absent["code"] == 2
        assert "no such model" in absent["error"]
        gated = resolve("lab/secret", tmp_path / "home", hub.url, HF_TOKEN="hf_secret")  # noqa: S106
        assert gated["code"] == 2
        assert "HF_TOKEN" in gated["error"]
        assert "hf_secret" not in gated["error"]
        unsafe = resolve("lab/pickled", tmp_path / "home", hub.url)
        assert unsafe["code"] == 2
        assert "safetensors" in unsafe["error"]
        assert not any("pytorch_model.bin" in request for request in hub.requests)


@pytest.mark.long
@pytest.mark.parametrize("offline", ["", "1"])
def test_a_hub_that_cannot_be_reached_is_a_failure(offline: str, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        found = resolve("lab/tiny", tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}", HF_HUB_OFFLINE=offline)

    assert found["code"] == 1
    assert "no such folder here, and not in the local cache, and the hub cannot be reached" in found["error"]
    assert "\n" not in found["error"]
