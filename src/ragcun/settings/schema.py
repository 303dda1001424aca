"""The schema of settings: types, ranges, defaults and help. Flags, files, variables and checks follow from it.

Each section is a class, and `Settings` holds them all. To add a setting, add one field with `setting`.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from ragcun.heads.registry import HEADS, power
from ragcun.losses.terms import TERMS, Treated

Precision = Literal["fp32", "bf16", "fp16"]
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
Scheduler = Literal["cosine", "linear", "constant"]
OnError = Literal["refuse", "skip"]
Checkpoint = Literal["best", "last"]
Tracker = Literal["tensorboard", "wandb", "trackio"]
Source = Literal["pairs", "wiki", "msmarco"]
Stage = Literal["both", "pretrain", "finetune"]  # of the full strategies: which to train

if TYPE_CHECKING:
    Head = str
else:
    Head = Literal[tuple(HEADS)]

Guard = Literal["worst", "mean"]

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _texts(value: Any) -> Any:
    """One text, or a JSON list in an environment variable, as a list."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.startswith("[") else [value]
    except ValueError:
        raise ValueError('not a JSON list, such as ["a", "b"]') from None


def _weighted(text: str) -> tuple[str, float]:
    """PATH=WEIGHT; a text that ends in no positive number is a path of weight 1."""
    path, equals, weight = text.rpartition("=")
    try:
        number = float(weight)
    except ValueError:
        return text, 1.0
    return (path, number) if equals and path and 0 < number < math.inf else (text, 1.0)


def _names(value: Any) -> Any:
    """As `_texts`; a comma separates names."""
    listed = _texts(value)
    if not isinstance(listed, list | tuple) or not all(isinstance(text, str) for text in listed):
        return listed
    return [name.strip() for text in listed for name in text.split(",") if name.strip()]


def _init(value: Any) -> Any:
    kind, _, strength = str(value).partition(":")
    if value in ("base", "random"):
        return value
    try:
        if kind == "whiten" and power(strength) is not None:
            return value
    except ValueError:
        pass
    raise ValueError("must be base, random, or whiten:POWER with a power from 0 to 1, or auto")


Init = Annotated[str, BeforeValidator(_init)]
Interpolation = Annotated[float | Literal["auto"], BeforeValidator(power)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Trackers = Annotated[tuple[Tracker, ...], BeforeValidator(_names)]


def setting(
    default: Any, help_: str, panel: str, *, flag: str | None = None, unset: str | None = None, names: str | None = None
) -> Any:
    """A field of a section, with what its flag needs besides its type.

    Args:
        default: the value where no source gives another.
        help_: a sentence for `--help`.
        panel: the heading under which `--help` lists it.
        flag: the flag's name where it is not the field's.
        unset: what None means, in words.
        names: whose names complete a value in the shell (see `ragcun.cli.completion`); those of a Literal always do.
    """
    extra = {"panel": panel, "flag": flag, "unset": unset, "names": names}
    return Field(default=default, description=help_, json_schema_extra={k: v for k, v in extra.items() if v})


DATA, ENCODER, LOSS, OPTIMISATION = "Data", "Encoder", "Loss", "Optimisation"
MACHINE, PROGRESS, EVALUATION = "Machine", "Progress", "Evaluation"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Section = TypeVar("Section", bound=_Section)


def _with_fields(fields: Mapping[str, Any]) -> Callable[[type[Section]], type[Section]]:
    """Add the fields that a registry declares to a section: types and settings by name."""

    def extend(section: type[Section]) -> type[Section]:
        return create_model(
            section.__name__, __base__=section, __module__=section.__module__, __doc__=section.__doc__, **fields
        )

    return extend


class DataSettings(_Section):
    """Where training pairs come from. `pydocs` as a source means the documentation that comes with Python."""

    train: Texts = setting(
        (),
        "Training data: a file of pairs, a collection's folder (its train split is used), or pydocs. May be repeated, "
        "as PATH=WEIGHT: batches of each are drawn in proportion to the weights, 1 by default.",
        DATA,
        flag="train-data",
    )
    val: str | None = setting(
        None,
        "Validation data: a file of pairs, or a collection's folder (its dev split is used).",
        DATA,
        flag="val-data",
        unset="the training data's dev split, else held-out queries",
    )
    pretrain: str | None = setting(
        None,
        "Training data of stage 1 in two-stage strategies: a file of pairs, or a collection's folder.",
        DATA,
        flag="pretrain-data",
        unset="downloaded from the stage's source",
    )
    pretrain_val: str | None = setting(
        None,
        "Validation data of stage 1: a file of pairs, or a collection's folder.",
        DATA,
        flag="pretrain-val-data",
        unset="as for --val-data",
    )
    general: Texts = setting(
        (),
        "General text on which --lambda-general keeps the head as it starts: a JSON Lines file or folder of texts, or "
        "pydocs; may be repeated.",
        DATA,
        flag="general-data",
    )
    out_of_domain: Texts = setting(
        (),
        "Out-of-domain collection whose dev score --interpolate auto protects; may be repeated.",
        DATA,
    )
    dev_rows: Count = setting(2_000, "Maximum number of dev queries to score checkpoints on.", DATA)
    sample_seed: Seed = setting(
        0, "Random seed of all samples of data: --rows, --dev-rows, held-out queries and generated data.", DATA
    )
    columns: str | None = setting(
        None,
        "Columns of files of pairs, as query=NAME,positive=NAME,negative=NAME.",
        DATA,
        unset="the names in use, such as query or anchor, positive, negative",
    )
    on_error: OnError = setting("refuse", "Refuse data with malformed rows, or skip and count them.", DATA)
    pydocs_documents: Count = setting(2_000, "Number of documents in the pydocs collection.", DATA)
    pydocs_max_words: Count = setting(100, "Maximum number of words per document of the pydocs collection.", DATA)

    def weights(self) -> dict[str, float]:
        """The weight of each source of training data, by its path."""
        return dict(_weighted(text) for text in self.train)


@_with_fields(
    {
        name: (own.type, setting(own.default, own.help, ENCODER))
        for head in HEADS.values()
        for name, own in head.settings.items()
    }
)
class ModelSettings(_Section):
    """The base and the head, with the settings that only one head has (see `ragcun.heads.registry`)."""

    base: str = setting(
        "sentence-transformers/all-mpnet-base-v2",
        "Hub id or folder of the base.",
        ENCODER,
        flag="base-model",
        names="bases",
    )
    revision: str | None = setting(None, "Revision of the base on the hub.", ENCODER, unset="the newest")
    max_length: Count | None = setting(None, "Maximum number of tokens of a text.", ENCODER, unset="the base's own")
    precision: Precision = setting("fp32", "Precision used to encode with a frozen base.", MACHINE)
    runtime: str = setting(
        "auto",
        "Runtime used to encode with a frozen base; auto is the fastest one that supports it.",
        MACHINE,
        names="runtimes",
    )
    freeze_base: bool = setting(True, "Keep the base frozen and train only the head.", ENCODER)
    freeze_early_layers: Annotated[int, Field(ge=0)] = setting(
        0,
        "Number of early transformer layers to freeze, together with the token embeddings, when the base is trained.",
        ENCODER,
    )
    head: Head = setting(
        "mlp",
        "Projection head on the base. " + "; ".join(f"{name}: {head.help}" for name, head in HEADS.items()) + ".",
        ENCODER,
    )
    init: Init = setting(
        "base",
        "Initialise the head as the base's PCA projection (base), as this projection whitened to a power from 0 to 1 "
        "(whiten:POWER, or whiten:auto), or at random (random).",
        ENCODER,
    )
    output_dim: Count | None = setting(
        None, "Number of dimensions of the embeddings.", ENCODER, unset="the base's width, at most 512"
    )

    @property
    def start_power(self) -> float | Literal["auto"] | None:
        """The power to which the projection is whitened that the head starts as; None for a start at random."""
        if self.init == "random":
            return None
        strength = self.init.removeprefix("base").removeprefix("whiten:") or 0
        return "auto" if strength == "auto" else float(strength)

    @property
    def dimension(self) -> int:
        """`output_dim`, once the base has decided on it (`ragcun.embedding.width`)."""
        if self.output_dim is None:
            raise ValueError("output_dim is not decided on yet")
        return self.output_dim


@_with_fields({term.weight: (Weight, setting(term.default, term.help, LOSS)) for term in TERMS})
class StageSettings(_Section):
    """One stage of training: its data's size, its optimisation, and the weight of each term of the loss.

    The terms are those of `ragcun.losses.terms`.
    """

    source: Source = setting("pairs", "Source of the training data if no data is given.", DATA)
    rows: Count | None = setting(None, "Number of pairs (or passages) to draw from the data.", DATA, unset="all")
    passage_chars: Count = setting(500, "Maximum number of characters of a Wikipedia passage.", DATA)
    negatives: Annotated[int, Field(ge=0)] | None = setting(
        None, "Maximum number of the given negatives to use per pair.", DATA, unset="all"
    )
    epochs: Count = setting(10, "Number of epochs.", OPTIMISATION)
    max_steps: Count | None = setting(
        None, "Maximum number of optimiser steps, where the epochs have more.", OPTIMISATION, unset="no maximum"
    )
    batch_size: Annotated[int, Field(ge=2)] = setting(512, "Pairs per process per step.", OPTIMISATION)
    gradient_accumulation_steps: Count = setting(1, "Batches per optimiser step.", OPTIMISATION)
    mini_batch_size: Count | None = setting(
        None,
        "Number of texts per forward pass of a trained base (GradCache); lower values save memory.",
        OPTIMISATION,
        unset="the whole batch",
    )
    learning_rate: Rate = setting(1e-3, "Peak learning rate.", OPTIMISATION)
    base_learning_rate: Rate | None = setting(
        None, "Peak learning rate of a trained base.", OPTIMISATION, unset="--learning-rate"
    )
    warmup_steps: Annotated[int, Field(ge=0)] = setting(20, "Number of linear warm-up steps.", OPTIMISATION)
    scheduler: Scheduler = setting("cosine", "Learning-rate schedule after warm-up.", OPTIMISATION)
    weight_decay: Weight = setting(0.01, "Weight decay of AdamW.", OPTIMISATION)
    max_grad_norm: Positive = setting(1.0, "Maximum norm of gradients, for clipping.", OPTIMISATION)
    temperature: Positive | None = setting(
        None, "Temperature by which squared distances are divided.", LOSS, unset="output-dim / 10"
    )
    learnable_temperature: bool = setting(False, "Learn the temperature.", LOSS)
    nested_dims: Annotated[tuple[int, ...], BeforeValidator(_names)] = setting(
        (),
        "Numbers of first dimensions that the contrastive loss is computed on as well (Matryoshka), such as 32,64,128.",
        LOSS,
    )
    treat: Treated | None = setting(
        None,
        "Embeddings that the regularisers of isotropy act on: SIGReg, axes, covariance and GOR.",
        LOSS,
        unset="both; documents for --lambda-covariance",
    )
    target_power: Share = setting(
        1.0,
        "Spectrum that these regularisers aim for: the base's, flattened to a power; 1 is N(0, I)'s, 0 the base's own.",
        LOSS,
    )
    random_documents: Annotated[int, Field(ge=0)] = setting(
        0,
        "Random documents per process per step that these regularisers see in place of the batch's.",
        LOSS,
    )
    checkpoint: Checkpoint = setting(
        "best",
        "Checkpoint that is saved: the best one on dev, which a treatment may not have reached, or the last.",
        ENCODER,
    )
    interpolate: Interpolation = setting(
        0.9,
        "Interpolate saved weights between the initial (0) and the chosen (1) ones; auto chooses the value on dev.",
        ENCODER,
    )
    interpolate_tolerance: Share = setting(
        0.0, "Maximum loss of nDCG@10 (0 to 1) on the out-of-domain collections with --interpolate auto.", ENCODER
    )
    interpolate_guard: Guard = setting(
        "worst",
        "Loss that --interpolate auto limits: the worst, or the mean, over the out-of-domain collections.",
        ENCODER,
    )
    mixed_precision: MixedPrecision = setting(
        "auto", "Precision used in training; auto is bf16 if the device supports it, else fp16 on GPUs.", MACHINE
    )
    gradient_checkpointing: bool = setting(
        False, "Recompute the activations of a trained base, to save memory.", MACHINE
    )
    compile: bool = setting(False, "Compile a trained base (torch.compile).", MACHINE)
    track: Trackers = setting((), "Tracker that also logs the history; may be repeated.", PROGRESS)
    log_interval: Count = setting(10, "Number of steps between two lines of the history.", PROGRESS)
    eval_interval: Count | None = setting(
        None, "Number of steps between two evaluations on dev.", PROGRESS, unset="one epoch"
    )
    save_interval: Count | None = setting(None, "Number of steps between two checkpoints.", PROGRESS, unset="one epoch")

    def weights(self) -> dict[str, float]:
        """The weight of each term of the loss, by its setting's name."""
        return {term.weight: getattr(self, term.weight) for term in TERMS}

    @property
    def needs_teacher(self) -> bool:
        """Whether a term that has a weight sees the base's embeddings."""
        return any(term.needs_teacher and self.weights()[term.weight] for term in TERMS)


def total_steps(steps_per_epoch: int, epochs: int, max_steps: int | None) -> int:
    """Optimiser steps of a training."""
    return min(steps_per_epoch * epochs, max_steps or steps_per_epoch * epochs)


class EvaluationSettings(_Section):
    """Datasets and baselines of `ragcun run`."""

    datasets: Names = setting(
        (),
        "Datasets to evaluate on, separated by commas: BEIR's names, CQADupStack's forums, folders in "
        "--data-dir, pydocs, or all, public, small or nanobeir.",
        EVALUATION,
        names="datasets",
    )
    data_dir: str | None = setting(
        None, "Folder of collections in BEIR's layout.", EVALUATION, unset="beir in the cache"
    )
    split: str | None = setting(
        None, "Split of queries to evaluate on.", EVALUATION, unset="the dataset's own; test for other collections"
    )
    baselines: Texts = setting(
        ("bm25", "base"),
        "Baseline system: a model, base, or random (the head initialised at random); may be repeated.",
        EVALUATION,
        names="models",
    )


class Settings(_Section):
    """A complete configuration: what a preset, a `--config` file and `settings.toml` of an experiment hold."""

    preset: str | None = Field(default=None, description="Preset that it started from.")
    seed: Seed = setting(0, "Random seed of the training.", OPTIMISATION)
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    pretraining: StageSettings | None = Field(default=None, description="Stage 1 of the full strategies.")
    training: StageSettings = StageSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _heads_agree(self) -> "Settings":
        model = self.model
        if model.freeze_base and model.freeze_early_layers:
            raise ValueError("freeze_early_layers needs a trained base; set freeze_base = false")
        if model.freeze_base and self.pretraining is not None:
            raise ValueError("pretraining needs a trained base; set freeze_base = false")
        for name in ("pretrain", "pretrain_val"):
            if model.freeze_base and getattr(self.data, name):
                raise ValueError(f"data.{name} needs a trained base; set freeze_base = false")
        if not model.freeze_base and HEADS[model.head].needs_frozen_base:
            raise ValueError(f"head {model.head} needs a frozen base; set freeze_base = true, or head = mlp")
        if not model.freeze_base and self.training.interpolate == "auto":
            raise ValueError(
                "interpolate auto needs a frozen base, whose embeddings are stored; give a number from 0 to 1"
            )
        if self.data.out_of_domain and self.training.interpolate != "auto":
            raise ValueError('data.out_of_domain needs interpolate = "auto"')
        if self.training.random_documents and self.training.treat == "queries":
            raise ValueError(
                "random_documents needs regularisers that act on documents; set treat to documents or both"
            )
        if not model.freeze_base and self.training.random_documents:
            raise ValueError("random_documents needs a frozen base, whose embeddings are stored")
        if self.data.general and not (
            model.freeze_base and HEADS[model.head].trainable and model.start_power is not None
        ):
            raise ValueError(
                "data.general needs a frozen base, whose embeddings are stored, and a trained head that starts as its "
                "projection; set freeze_base = true and init = base or whiten:POWER"
            )
        for name in ("base_learning_rate", "mini_batch_size", "gradient_checkpointing", "compile"):
            if model.freeze_base and getattr(self.training, name):
                raise ValueError(f"{name} needs a trained base; set freeze_base = false")
        return self
