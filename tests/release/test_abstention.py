"""A card says when not to answer, where that was measured."""

from pathlib import Path

from children import ragcun


def test_the_card_has_a_threshold_with_its_validity(experiment: Path, collection: Path, tmp_path: Path) -> None:
    scored = tmp_path / "results"
    options = ("--split", "train", "--model", str(experiment), "--output", str(scored))
    for command in (("eval", "collection", str(collection)), ("eval", "abstain", str(collection))):
        done = ragcun(*command, *options, "--store", str(tmp_path / "store"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = ragcun("export", str(experiment), "--to", "released", "--results", str(scored), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "released" / "README.md").read_text("utf-8")
    assert "## When not to answer" in card
    assert "negative Euclidean distance" in card
    assert "| animals | train | 24 | -" in card
    assert "fit it again for your collection" in card
