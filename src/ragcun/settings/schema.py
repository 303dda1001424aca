"""The schema of settings: types, ranges, defaults and help. Flags, files, variables and checks follow from it.

Each section is a class, and `Settings` holds them all. To add a setting, add one field with `setting`.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from ragcun.heads.registry import HEADS, power
from ragcun.losses.batch import Treated
from ragcun.losses.terms import TERMS

Precision = Literal["fp32", "bf16", "fp16"]
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
Scheduler = Literal["cosine", "linear", "constant"]
OnError = Literal["refuse", "skip"]
Checkpoint = Literal["best", "last"]
Tracker = Literal["tensorboard", "wandb", "trackio"]
Source = Literal["pairs", "wiki", "msmarco"]
Stage = Literal["both", "pretrain", "finetune"]  # the stages to train in a two-stage strategy

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
    """Turn one text, or a JSON list from an environment variable, into a list."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.startswith("[") else [value]
    except ValueError:
        raise ValueError('not a JSON list, such as ["a", "b"]') from None


def _weighted(text: str) -> tuple[str, float]:
    """Split PATH=WEIGHT. A text that does not end in a positive number is a path of weight 1."""
    path, equals, weight = text.rpartition("=")
    try:
        number = float(weight)
    except ValueError:
        return text, 1.0
    return (path, number) if equals and path and 0 < number < math.inf else (text, 1.0)


def _names(value: Any) -> Any:
    """As `_texts`, and split each text at its commas."""
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
    """Declare a field of a section, with what its flag needs besides the type.

    Args:
        default: the value if no source gives another.
        help_: a sentence for `--help`.
        panel: the heading under which `--help` lists the flag.
        flag: the flag's name, if it differs from the field's.
        unset: the meaning of None, in words.
        names: the kind of names that complete a value in the shell (see `ragcun.cli.completion`); the values of a
            Literal always do.
    """
    extra = {"panel": panel, "flag": flag, "unset": unset, "names": names}
    return Field(default=default, description=help_, json_schema_extra={k: v for k, v in extra.items() if v})


DATA, ENCODER, LOSS, OPTIMISATION = "Data", "Encoder", "Loss", "Optimisation"
MACHINE, PROGRESS, EVALUATION = "Machine", "Progress", "Evaluation"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Section = TypeVar("Section", bound=_Section)


def _with_fields(fields: Mapping[str, Any]) -> Callable[[type[Section]], type[Section]]:
    """Add the fields that a registry declares, with their types and settings, to a section."""

    def extend(section: type[Section]) -> type[Section]:
        return create_model(
            section.__name__, __base__=section, __module__=section.__module__, __doc__=section.__doc__, **fields
        )

    return extend


class DataSettings(_Section):
    """The sources of training and dev data. `pydocs` is a collection made of Python's own documentation."""

    train: Texts = setting(
        (),
        "Training data: a file of pairs, a collection's folder (its train split is used), or pydocs. May be repeated; "
        "with PATH=WEIGHT, batches are drawn from the sources in proportion to their weights, which are 1 by default.",
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
        "General text on which --lambda-general keeps the head close to its initial state: a JSON Lines file or folder "
        "of texts, or pydocs. May be repeated.",
        DATA,
        flag="general-data",
    )
    out_of_domain: Texts = setting(
        (),
        "Out-of-domain collection whose dev score --interpolate auto must not lower by more than "
        "--interpolate-tolerance. May be repeated.",
        DATA,
    )
    dev_rows: Count = setting(2_000, "Maximum number of dev queries to score checkpoints on.", DATA)
    sample_seed: Seed = setting(
        0,
        "Random seed of every sample of the data: --rows, --dev-rows, held-out queries and generated data.",
        DATA,
    )
    columns: str | None = setting(
        None,
        "Names of the columns in files of pairs, as query=NAME,positive=NAME,negative=NAME.",
        DATA,
        unset="common names, such as query or anchor, positive, negative",
    )
    on_error: OnError = setting("refuse", "Refuse data with malformed rows, or skip and count these rows.", DATA)
    pydocs_documents: Count = setting(2_000, "Number of documents in the pydocs collection.", DATA)
    pydocs_max_words: Count = setting(100, "Maximum number of words per document of the pydocs collection.", DATA)

    def weights(self) -> dict[str, float]:
        """Return the weight of each source of training data, by its path."""
        return dict(_weighted(text) for text in self.train)


@_with_fields(
    {
        name: (own.type, setting(own.default, own.help, ENCODER))
        for head in HEADS.values()
        for name, own in head.settings.items()
    }
)
class ModelSettings(_Section):
    """The base and the head, including the settings of single heads (see `ragcun.heads.registry`)."""

    base: str = setting(
        "sentence-transformers/all-mpnet-base-v2",
        "Base model, as a hub id or a folder.",
        ENCODER,
        flag="base-model",
        names="bases",
    )
    revision: str | None = setting(None, "Revision of the base model on the hub.", ENCODER, unset="the newest")
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
        "Number of early transformer layers to freeze, together with the token embeddings, if the base is trained.",
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
        """The power to which the initial projection is whitened; None if the head is initialised at random."""
        if self.init == "random":
            return None
        strength = self.init.removeprefix("base").removeprefix("whiten:") or 0
        return "auto" if strength == "auto" else float(strength)

    @property
    def dimension(self) -> int:
        """`output_dim`, once it was set from the base's width (`ragcun.embedding.width`)."""
        if self.output_dim is None:
            raise ValueError("output_dim is not known yet")
        return self.output_dim


@_with_fields({term.weight: (Weight, setting(term.default, term.help, LOSS)) for term in TERMS})
class StageSettings(_Section):
    """One stage of training: the size of its data, the optimisation, and the weight of each term of the loss.

    The terms are declared in `ragcun.losses.terms`.
    """

    source: Source = setting("pairs", "Source of the training data if no --train-data is given.", DATA)
    rows: Count | None = setting(None, "Number of pairs (or passages) to draw from the data.", DATA, unset="all")
    passage_chars: Count = setting(500, "Maximum number of characters of a Wikipedia passage.", DATA)
    negatives: Annotated[int, Field(ge=0)] | None = setting(
        None, "Maximum number of hard negatives to use per pair, of those in the data.", DATA, unset="all"
    )
    epochs: Count = setting(10, "Number of training epochs.", OPTIMISATION)
    max_steps: Count | None = setting(
        None, "Maximum number of optimiser steps, if the epochs have more.", OPTIMISATION, unset="no maximum"
    )
    batch_size: Annotated[int, Field(ge=2)] = setting(512, "Pairs per process per step.", OPTIMISATION)
    gradient_accumulation_steps: Count = setting(1, "Number of batches per optimiser step.", OPTIMISATION)
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
        None,
        "Temperature of the contrastive loss, by which squared distances are divided.",
        LOSS,
        unset="output-dim / 10",
    )
    learnable_temperature: bool = setting(False, "Learn the temperature during training.", LOSS)
    nested_dims: Annotated[tuple[int, ...], BeforeValidator(_names)] = setting(
        (),
        "Numbers of leading dimensions on which the contrastive loss is computed as well, such as 32,64,128 "
        "(Matryoshka representation learning).",
        LOSS,
    )
    treat: Treated | None = setting(
        None,
        "Embeddings to which the isotropy regularisers (SIGReg, axes, covariance and GOR) are applied.",
        LOSS,
        unset="both; documents for --lambda-covariance",
    )
    target_power: Share = setting(
        1.0,
        "Target spectrum of the isotropy regularisers: the base's spectrum, flattened by this power. 1 is the flat "
        "spectrum of N(0, I), and 0 is the base's own.",
        LOSS,
    )
    random_documents: Annotated[int, Field(ge=0)] = setting(
        0,
        "Number of random documents per process per step to which the isotropy regularisers are applied, in place of "
        "the batch's documents; 0 uses the batch's.",
        LOSS,
    )
    checkpoint: Checkpoint = setting(
        "best",
        "Checkpoint to save: the best one on dev, or the last. The best one may be from before the regularisers took "
        "effect.",
        ENCODER,
    )
    interpolate: Interpolation = setting(
        0.9,
        "Interpolate the saved weights between the initial ones (0) and those of the checkpoint (1); auto chooses the "
        "value on dev.",
        ENCODER,
    )
    interpolate_tolerance: Share = setting(
        0.0,
        "Maximum loss of nDCG@10, from 0 to 1, that --interpolate auto accepts on the out-of-domain collections.",
        ENCODER,
    )
    interpolate_guard: Guard = setting(
        "worst",
        "Loss of nDCG@10 that --interpolate auto limits: the worst or the mean over the out-of-domain collections.",
        ENCODER,
    )
    mixed_precision: MixedPrecision = setting(
        "auto",
        "Precision used in training; auto is bf16 if the device supports it, otherwise fp16 on GPUs.",
        MACHINE,
    )
    gradient_checkpointing: bool = setting(
        False, "Recompute the activations of a trained base in the backward pass, to save memory.", MACHINE
    )
    compile: bool = setting(False, "Compile a trained base with torch.compile.", MACHINE)
    track: Trackers = setting((), "Experiment tracker that logs the training history, too; may be repeated.", PROGRESS)
    log_interval: Count = setting(10, "Number of steps between two lines of the training history.", PROGRESS)
    eval_interval: Count | None = setting(
        None, "Number of steps between two evaluations on dev.", PROGRESS, unset="one epoch"
    )
    save_interval: Count | None = setting(None, "Number of steps between two checkpoints.", PROGRESS, unset="one epoch")

    def weights(self) -> dict[str, float]:
        """Return the weight of each term of the loss, by the name of its setting."""
        return {term.weight: getattr(self, term.weight) for term in TERMS}

    @property
    def needs_teacher(self) -> bool:
        """Whether a term with a weight above 0 needs the base's embeddings."""
        return any(term.needs_teacher and self.weights()[term.weight] for term in TERMS)


def total_steps(steps_per_epoch: int, epochs: int, max_steps: int | None) -> int:
    """Return the number of optimiser steps of a training."""
    return min(steps_per_epoch * epochs, max_steps or steps_per_epoch * epochs)


class EvaluationSettings(_Section):
    """The datasets and baselines of `ragcun run`."""

    datasets: Names = setting(
        (),
        "Datasets to evaluate on, separated by commas: BEIR's names, CQADupStack's forums, folders in "
        "--data-dir, pydocs, or a group: all, public, small or nanobeir.",
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
        "Baseline system: a model, base (the base itself) or random (a head initialised at random). May be repeated.",
        EVALUATION,
        names="models",
    )


class Settings(_Section):
    """A complete configuration, as in a preset, a `--config` file, and the `settings.toml` of an experiment."""

    preset: str | None = Field(default=None, description="Preset on which the settings are based.")
    seed: Seed = setting(0, "Random seed of the training.", OPTIMISATION)
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    pretraining: StageSettings | None = Field(default=None, description="Stage 1 of a two-stage strategy.")
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
                "data.general needs a frozen base, whose embeddings are stored, and a trained head that is initialised "
                "as its projection; set freeze_base = true and init = base or whiten:POWER"
            )
        for name in ("base_learning_rate", "mini_batch_size", "gradient_checkpointing", "compile"):
            if model.freeze_base and getattr(self.training, name):
                raise ValueError(f"{name} needs a trained base; set freeze_base = false")
        return self
