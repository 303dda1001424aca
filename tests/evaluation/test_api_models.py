"""A model behind an API scores what it scores when it is loaded, is paid for once, and keeps its key to itself."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from api_server import EmbeddingsServer
from typer.testing import CliRunner

from children import ragcun
from ragcun.cli.store import app as store_commands
from ragcun.embedding.budget import Budget
from ragcun.evaluation.beir import evaluate
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.runs import read_run

SECRET = "sk-proj-not-to-be-seen"  # noqa: S105


@pytest.fixture(scope="module")
def embed(tiny_model: Path) -> Callable[[list[str]], list[list[float]]]:
    from sentence_transformers import SentenceTransformer

    model, turn = SentenceTransformer(str(tiny_model), device="cpu"), threading.Lock()

    def answer(texts: list[str]) -> list[list[float]]:
        with turn:
            return model.encode(texts).tolist()  # type: ignore[no-any-return]

    return answer


def test_it_equals_the_local_model_and_a_second_run_asks_nothing(
    collection: Path,
    tiny_model: Path,
    tmp_path: Path,
    embed: Callable[[list[str]], list[list[float]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr("ragcun.embedding.api.INPUTS", 7)
    output = tmp_path / "results"
    busy = {"error": {"message": "Rate limit reached"}}
    failures = [(429, {"Retry-After": "0"}, busy), (500, {}, busy), (429, {"retry-after-ms": "20"}, busy)]
    with EmbeddingsServer(embed, failures, seconds=0.02).serve() as server:
        encoding = RetrieverOptions(tmp_path / "store", device="cpu", api_url=server.url, budget=Budget(agreed=True))
        local, remote = evaluate([str(tiny_model), "openai:tiny"], [collection], output, encoding)
        assert (remote.label, remote.settings["endpoint"]) == ("tiny", server.url)
        assert remote.metrics == local.metrics
        ours, theirs = read_run(output / remote.run), read_run(output / local.run)
        assert {query: list(found) for query, found in ours.items()} == {q: list(found) for q, found in theirs.items()}
        for query, found in ours.items():
            assert found == pytest.approx(theirs[query], abs=1e-6)
        assert len(server.requests) == 2 + 6 + len(failures)  # 8 queries, 40 documents
        assert set(server.asked.values()) == {1}

        shutil.rmtree(output)
        monkeypatch.delenv("OPENAI_API_KEY")
        (again,) = evaluate(["openai:tiny"], [collection], output, encoding)
        assert again.metrics == remote.metrics
        assert len(server.requests) == 8 + len(failures)
    listed = CliRunner().invoke(store_commands, ["ls", "--store", str(tmp_path / "store")])
    assert listed.exit_code == 0
    assert "tiny at" in listed.output
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Rate limit" not in written
    assert SECRET.encode() not in written
    told = capsys.readouterr().err
    assert "warning: tiny: 500 Rate limit reached; retrying" in told
    assert SECRET not in told


def test_the_command_spends_nothing_unasked_and_shows_no_key(
    collection: Path, tmp_path: Path, embed: Callable[[list[str]], list[list[float]]]
) -> None:
    refusal = {"error": {"message": f"Incorrect API key provided: {SECRET}"}}
    with EmbeddingsServer(embed, [(401, {}, refusal)] * 4).serve() as server:

        def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = ["--debug", "eval", "beir", "--datasets", "animals", "--data-dir", collection.parent]
            command += ["--output", tmp_path / "results", "--model", "openai:tiny", "--openai-base-url", server.url]
            return ragcun(*command, *arguments, RAGCUN_CACHE_DIR=str(tmp_path / "cache"), OPENAI_API_KEY=SECRET)

        unasked = ask()
        assert unasked.returncode == 2
        assert "48 texts to embed" in unasked.stderr
        assert "confirm with --yes" in unasked.stderr
        assert not server.requests
        agreed = ask("--yes")
        assert agreed.returncode == 2
        assert server.requests
        assert "OPENAI_API_KEY is refused" in agreed.stderr
        assert "Traceback" in agreed.stderr
        assert SECRET not in unasked.stderr + agreed.stderr + unasked.stdout + agreed.stdout
