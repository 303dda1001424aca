"""Codecs are scored like models: cells, tests against fp32, the range of ties, bytes in every row."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ragcun.cli.evaluate import app
from ragcun.cli.main import app as whole
from ragcun.evaluation.compress import codec_specs
from ragcun.evaluation.results import read_results
from ragcun.evaluation.ties import tie_range
from ragcun.retrieval.codecs.saved import read_codes
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.runs import read_run
from tiny import build_collection, build_model

CODES = "int8,2bit,1bit/16,trellis4,binary,pq4"


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path, list[str]]:
    folder = tmp_path_factory.mktemp("compress")
    model, collection = build_model(folder), build_collection(folder / "tiny")
    other = build_collection(folder / "other")
    arguments = ["compress", str(collection), str(other), "--model", f"enc={model}", "--codes", CODES]
    arguments += ["--output", str(folder / "out"), "--store", str(folder / "store"), "--runtime", "torch", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--figures", str(folder / "figures")])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), folder, arguments


def test_every_row_holds_model_dataset_codec_bytes_and_score(compressed: tuple[dict, Path, list[str]]) -> None:
    found, _, _ = compressed
    bytes_of = {"fp32": 128, "int8": 32, "2bit": 10, "1bit/16": 4, "trellis4": 4, "binary": 4, "pq4": 4}
    assert len(found["rows"]) == 3 * len(bytes_of)
    for row in found["rows"]:
        assert row["bytes"] == bytes_of[row["codec"]]
        assert row["model"] == "enc"
        assert row["ties"][0] - 1e-9 <= row["nDCG@10"] <= row["ties"][1] + 1e-9
        assert (row["p_adjusted"] is None) == (row["codec"] == "fp32") == (row["difference"] is None)
    means = [row for row in found["rows"] if row["dataset"] is None]
    assert [row["over"] for row in means] == [["tiny", "other"]] * len(bytes_of)
    assert [Path(path).suffix for path in found["figures"]] == [".pdf", ".png"]
    assert all(Path(path).is_file() for path in found["figures"])
    whole_run = {row["codec"]: row["nDCG@10"] for row in found["rows"] if row["dataset"] == "tiny"}
    assert whole_run["fp32"] - whole_run["int8"] < 0.02


def test_cells_are_read_again_and_compared_like_others(compressed: tuple[dict, Path, list[str]]) -> None:
    found, folder, arguments = compressed
    before = {one.path: one.path.stat().st_mtime_ns for one in read_results(folder / "out")}
    again = CliRunner().invoke(app, arguments)
    assert json.loads(again.stdout)["rows"] == found["rows"]
    assert {one.path: one.path.stat().st_mtime_ns for one in read_results(folder / "out")} == before
    compared = CliRunner().invoke(app, ["compare", str(folder / "out"), "--baseline", "enc (pq4)", "--json"])
    labels = {row["label"] for row in json.loads(compared.stdout)["rows"]}
    assert "enc (trellis4)" in labels
    table = CliRunner().invoke(whole, ["eval", *[one for one in arguments if one != "--json"]])
    assert "mean of 2 datasets" in " ".join(table.stdout.split())


def test_the_range_of_ties_is_that_of_their_orders(compressed: tuple[dict, Path, list[str]]) -> None:
    _, folder, _ = compressed
    result = next(one for one in read_results(folder / "out") if "binary" in one.label and one.dataset == "tiny")
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(32, 40)}
    low, high = [], []
    for query, scores in read_run(result.run).items():
        own = scores[f"d{query[1:]}"]
        better = sum(score > own for score in scores.values())
        equal = sum(score == own for score in scores.values())
        places = np.array([better + 1, better + equal])
        best, worst = np.where(places <= 10, 1 / np.log2(places + 1), 0)
        low.append(worst)
        high.append(best)
    assert sum(high) > sum(low)
    assert tie_range(result, qrels) == pytest.approx((np.mean(low), np.mean(high)))


def test_a_codec_is_exported_with_its_codes(compressed: tuple[dict, Path, list[str]], tmp_path: Path) -> None:
    _, folder, _ = compressed
    arguments = ["--to", "codes", "--data", str(folder / "tiny"), "--store", str(folder / "store")]
    model, output = f"{folder / 'model'}:codec=trellis4", tmp_path / "codes"
    result = CliRunner().invoke(whole, ["export", model, *arguments, "--output", str(output)])
    assert result.exit_code == 0, result.stderr
    fitted, coded = read_codes(output / "codes.safetensors")
    assert (coded.bytes, str(fitted.spec), len(coded.codes)) == (4, "trellis4", 40)
    assert json.loads((output / "codes.json").read_text())["codec"]["bytes"] == 4
    assert len(json.loads((output / "ids.json").read_text())) == 40
    plain = CliRunner().invoke(whole, ["export", str(folder / "model"), *arguments, "--output", str(tmp_path / "no")])
    assert "names no codec" in str(plain.exception)


def test_codes_meet_dimensions_unless_they_choose_their_own() -> None:
    specs = codec_specs(["fp32", "2bit", "pq48", "1bit/64"], [None, 192], rescore=10)
    assert list(map(str, specs)) == [
        "fp32/rescore=10", "fp32/192/rescore=10", "2bit/rescore=10", "2bit/192/rescore=10", "pq48/rescore=10", "1bit/64"
    ]  # fmt: skip
    assert codec_specs(["2bit"], rotate=False) == [CodecSpec("2bit", rotate=False)]
    assert str(codec_specs(["2bit"], rotate=True)[0]) == "2bit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codes", "3bit"], "codec '3bit': unknown"),
        (["--codes", "fp32"], "no codec was given"),
        (["--dims", "10,x"], "must be numbers of dimensions"),
        (["--whiten-power", "2"], "must be a number from 0 to 1, or auto"),
        (["--index", "hnsw"], "compressed vectors are searched exactly"),
        (["--model", "bm25"], "bm25: has no vectors to compress"),
    ],
)
def test_bad_input_is_one_line(
    compressed: tuple[dict, Path, list[str]], arguments: list[str], message: str, tmp_path: Path
) -> None:
    _, folder, _ = compressed
    given = ["compress", str(folder / "tiny"), "--model", str(folder / "model"), "--output", str(tmp_path)]
    if "--model" in arguments:
        given = given[:2]
    result = CliRunner().invoke(app, [*given, *arguments])
    assert result.exception is not None
    assert message in str(result.exception)
