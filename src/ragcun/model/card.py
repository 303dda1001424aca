"""The model card of an encoder: its base, training, scores and limitations.

The card is made from the manifest of the training and, if there are any, from scores. It contains no path of a machine.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragcun.data.benchmark import find_dataset
from ragcun.data.provenance import parts_of
from ragcun.embedding.origin import Origin
from ragcun.losses.terms import TERMS
from ragcun.printable import markdown, one_line

_UNKNOWN_LICENCE = "not stated"
_SETTINGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "base_learning_rate",
    "warmup_steps",
    "temperature",
    "interpolate",
)
_VERSIONS = ("ragcun", "torch", "sentence-transformers", "transformers")
_LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-sa-3.0", "cc-by-nc-4.0", "gemma"}


@dataclass(frozen=True)
class CardScore:
    """A row of the card's table of scores: the score on a dataset (0 to 1), and its difference from the base's.

    Attributes:
        low, high: the 95 percent interval over queries.
        deviation: the standard deviation over `seeds` trainings; None for one training.
        base: the base's score, if it was evaluated.
        difference: the difference from the base with its 95 percent interval.
        p_value: the corrected p-value of the paired test.
    """

    dataset: str
    split: str
    measure: str
    score: float
    low: float
    high: float
    queries: int
    domain: str | None = None
    seeds: int = 1
    deviation: float | None = None
    base: float | None = None
    difference: tuple[float, float, float] | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Card:
    """The content of a model card.

    Attributes:
        title: the model's name.
        loaded_as: the name by which `SentenceTransformer` loads the model: ORG/NAME on a hub, or a folder.
        manifest: the manifest of the training.
        origin: the base.
        scores: the rows of the table of scores; empty if the model was not evaluated.
        licence: the licence of the weights; with None, the card says that none was chosen.
        citation: the BibTeX entry of the work that releases the model; with None, an entry for the model.
        thresholds: the section on when not to answer; empty if no threshold was measured.
    """

    title: str
    loaded_as: str
    manifest: Mapping[str, Any]
    origin: Origin
    scores: Sequence[CardScore] = field(default=())
    licence: str | None = None
    citation: str | None = None
    thresholds: str = ""

    def text(self) -> str:
        """Write the card as Markdown, after the hub's metadata."""
        sections = [
            self._about(),
            self._usage(),
            self._training(),
            self._evaluation(),
            self.thresholds,
            self._limits(),
            self._reproduction(),
            self._cite(),
        ]
        heading = f"---\n{self._metadata()}---\n\n# {markdown(self.title)}"
        return "\n\n".join(filter(None, [heading, *sections])) + "\n"

    @property
    def _settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["settings"]
        return found

    @property
    def _dimension(self) -> int:
        return int(self._settings["model"]["output_dim"])

    def _metadata(self) -> str:
        lines = ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
        if self.origin.hub:
            lines += [f"base_model: {self.origin.name}", "base_model_relation: finetune"]
        if self.licence:
            lines.append(f"license: {self.licence if self.licence.lower() in _LICENCES else 'other'}")
        tags = ["sentence-transformers", "dense-retrieval", "isotropy", "ragcun"]
        lines.append(f"tags: [{', '.join(tags)}]")
        if self.scores:
            lines += ["model-index:", f"- name: {json.dumps(self.title)}", "  results:"]
            for one in self.scores:
                lines += [
                    "  - task: {type: retrieval}",
                    f"    dataset: {{name: {json.dumps(one.dataset)}, type: {json.dumps(one.dataset)}, "
                    f"split: {json.dumps(one.split)}}}",
                    f"    metrics: [{{type: {json.dumps(one.measure)}, value: {100 * one.score:.2f}}}]",
                ]
        return "".join(f"{line}\n" for line in lines)

    def _about(self) -> str:
        base = self._settings["model"]
        frozen = "frozen" if base["freeze_base"] else "trained with it"
        dimension = self._dimension
        return (
            f"A sentence encoder for dense retrieval: {self.origin.markdown()}, {frozen}, with a projection head to "
            f"{dimension} dimensions and without normalisation. Embeddings are compared by Euclidean distance."
        )

    def _usage(self) -> str:
        return f"""## Usage

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({json.dumps(self.loaded_as)})
queries = ["how do plants make sugar"]
documents = ["Photosynthesis turns light, water and carbon dioxide into sugar.", "Whales are mammals."]
scores = model.similarity(model.encode_query(queries), model.encode_document(documents))
print(scores)  # negative Euclidean distances, so that the highest score is the best
```"""

    def _training(self) -> str:
        data, parameters = self.manifest["data"], self.manifest["parameters"]
        mixed = parts_of(data["train"])
        sources = [("training pairs", one, one["pairs"] if len(mixed) > 1 else data["pairs"]) for one in mixed]
        sources += [("choice of the checkpoint", one, None) for one in parts_of(data["dev"])]
        sources += [("general texts", one, one["rows"]) for one in data.get("general", ())]
        sources += [("choice of the interpolation", one, None) for one in data["out_of_domain"]]
        before = (data.get("before") or {}).get("trained", ())
        sources += [("an earlier training", one, None) for one in before]
        rows = [_source(use, source, count) for use, source, count in sources if source]
        stage = self._settings["training"]
        settings = {name: stage[name] for name in _SETTINGS if stage.get(name) is not None}
        settings |= {term.weight: stage[term.weight] for term in TERMS if stage.get(term.weight)}
        listed = ", ".join(f"{name} = {_short(value)}" for name, value in settings.items())
        hours = self.manifest["seconds"]["total"] / 3600
        hardware = self.manifest["environment"]["hardware"]
        machine = ", ".join(hardware.get("accelerators", [])) or f"{hardware['cores']} cores of {hardware['processor']}"
        return f"""## Training

| use | data | split | rows | licence |
|---|---|---|---|---|
{chr(10).join(rows)}

{parameters["trained"]:,} parameters were trained, of {parameters["base"] + parameters["head"]:,}. Settings: {listed}, \
seed = {self._settings["seed"]}. Training took {_duration(hours)} on {machine}."""

    def _evaluation(self) -> str:
        if not self.scores:
            return "## Evaluation\n\nNo scores are given: this model was not evaluated when the card was written."
        beside = any(one.base is not None for one in self.scores)
        seeds = max(one.seeds for one in self.scores)
        heading = ["dataset", "split", "domain", "queries", self.scores[0].measure]
        heading += ["base", "difference", "p"] if beside else []
        rows = [[*_scored(one), *(_beside(one) if beside else [])] for one in self.scores]
        table = "\n".join(f"| {' | '.join(row)} |" for row in [heading, ["---"] * len(heading), *rows])
        spread = (
            f"Scores are means ± sample standard deviations over {seeds} seeds."
            if seeds > 1
            else "Scores are those of one training and vary with the seed."
        )
        told = (
            f" Brackets hold 95% bootstrap intervals over queries. {spread} In-domain datasets were trained on, or "
            "chose the checkpoint."
        )
        tests = " P-values are from paired randomisation tests, corrected by Holm's method." if beside else ""
        return f"## Evaluation\n\n{table}\n\nTimes 100.{told}{tests}"

    def _limits(self) -> str:
        length = self.manifest["base"].get("max_length")
        lines = [
            f"Texts are truncated after {length} tokens." if length else "",
            "Distances depend on the scale of embeddings: do not normalise embeddings or compare them by cosine.",
            "The model's vocabulary, languages and biases are those of the base."
            + (f" The base's licence is {self.origin.licence}." if self.origin.licence else ""),
        ]
        if self.scores:
            kinds = {one.domain for one in self.scores}
            if "out-of-domain" not in kinds:
                lines.append("The model was not evaluated on any dataset that it was not trained on.")
        licences = [_licence(source) for source in parts_of(self.manifest["data"]["train"])]
        if _UNKNOWN_LICENCE in licences:
            lines.append("The licence of its training data is not known: find out before you use it commercially.")
        if not self.licence:
            lines.append("No licence was chosen for these weights.")
        return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines if line)

    def _reproduction(self) -> str:
        environment = self.manifest["environment"]
        packages = environment["packages"]
        shown = ", ".join(f"{name} {packages[name]}" for name in _VERSIONS if name in packages)
        git = environment.get("git")
        commit = f" Commit `{git['commit']}`{', with local changes' if git['dirty'] else ''}." if git else ""
        return (
            f"## Reproduction\n\nSettings, data and starting weights of the training have the SHA-256 "
            f"`{self.manifest['identity']}`. Versions: {shown}, Python {environment['python']}.{commit}"
        )

    def _cite(self) -> str:
        year = str(self.manifest["environment"]["time"])[:4]
        key = re.sub(r"[^A-Za-z0-9]+", "", self.title) or "model"
        title = re.sub(r"[{}\\]", "", one_line(self.title))
        bibtex = self.citation or f"@misc{{{key}{year},\n  title = {{{title}}},\n  year = {{{year}}}\n}}"
        return (
            f"## Citation\n\n```bibtex\n{bibtex.strip()}\n```\n\nThe regulariser is SIGReg (LeJEPA, arXiv 2511.08544)."
        )


def _scored(one: CardScore) -> list[str]:
    spread = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
    score = f"{100 * one.score:.2f}{spread} [{100 * one.low:.2f}, {100 * one.high:.2f}]"
    return [markdown(one.dataset), markdown(one.split), one.domain or "", f"{one.queries:,}", score]


def _beside(one: CardScore) -> list[str]:
    if one.base is None or one.difference is None or one.p_value is None:
        return ["", "", ""]
    difference, low, high = (f"{100 * value:+.2f}" for value in one.difference)
    return [f"{100 * one.base:.2f}", f"{difference} [{low}, {high}]", f"{one.p_value:.4f}"]


def _source(use: str, source: Mapping[str, Any], count: int | None) -> str:
    shown = "" if count is None else f"{count:,}"
    name, split = markdown(_data_name(source)), markdown(source.get("split") or "")
    return f"| {use} | {name} | {split} | {shown} | {_licence(source)} |"


def _data_name(source: Mapping[str, Any]) -> str:
    path = Path(source["path"])
    dataset = find_dataset(path.name)
    if dataset is not None and source.get("split") is not None:
        return dataset.title
    return path.name if source.get("split") is not None else f"{path.parent.name}/{path.name}"


def _licence(source: Mapping[str, Any]) -> str:
    dataset = find_dataset(Path(source["path"]).name)
    found = None if dataset is None else dataset.licence
    return _UNKNOWN_LICENCE if found in {None, "not specified"} else str(found)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _duration(hours: float) -> str:
    minutes = max(1, round(60 * hours))
    return f"{hours:.1f} hours" if hours >= 2 else f"{minutes} minute{'s' if minutes > 1 else ''}"
