"""What can be set, its type, its range and its default. One class a concern; `Settings` holds them all."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from ragcun.heads.registry import HEADS
from ragcun.losses.terms import TERMS

Precision = Literal["fp32", "bf16", "fp16"]
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
Init = Literal["base", "random"]
Scheduler = Literal["cosine", "linear", "constant"]
OnError = Literal["refuse", "skip"]
Tracker = Literal["tensorboard", "wandb", "trackio"]
Stage = Literal["both", "pretrain", "finetune"]  # of the full strategies: which to train

if TYPE_CHECKING:
    Head = str
else:
    Head = Literal[tuple(HEADS)]

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


def _interpolation(value: Any) -> Any:
    if value == "auto":
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1, or auto")
    return number


Interpolation = Annotated[float | Literal["auto"], BeforeValidator(_interpolation)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Section = TypeVar("Section", bound=_Section)


def _with_fields(fields: Mapping[str, Any]) -> Callable[[type[Section]], type[Section]]:
    """Add the fields that a registry declares to a section: types and `Field`s by name."""

    def extend(section: type[Section]) -> type[Section]:
        return create_model(
            section.__name__, __base__=section, __module__=section.__module__, __doc__=section.__doc__, **fields
        )

    return extend


class DataSettings(_Section):
    """Where training pairs come from. `pydocs` as a source means the documentation that comes with Python."""

    train: str | None = Field(default=None, description="pairs file, collection folder, or 'pydocs'")
    val: str | None = Field(default=None, description="pairs file or collection folder; default: train's dev split")
    pretrain: str | None = Field(default=None, description="what stage 1 trains on, as train")
    pretrain_val: str | None = Field(default=None, description="what stage 1 is scored on, as val")
    out_of_domain: tuple[str, ...] = Field(
        default=(), description="collection folders that are not trained on; interpolate auto keeps their dev scores"
    )
    on_error: OnError = Field(default="refuse", description="what to do with malformed rows")
    pydocs_documents: Count = Field(default=2_000, description="documents of the embedded collection")
    pydocs_max_words: Count = Field(default=100, description="words kept of each of them")


@_with_fields(
    {
        name: (own.type, Field(default=own.default, description=own.help))
        for head in HEADS.values()
        for name, own in head.settings.items()
    }
)
class ModelSettings(_Section):
    """The base and the head, with the settings that only one head has (see `ragcun.heads.registry`)."""

    base: str = Field(default="sentence-transformers/all-mpnet-base-v2", description="hub id or folder of the base")
    revision: str | None = Field(default=None, description="revision of the base on the hub")
    max_length: Count | None = Field(default=None, description="tokens the base sees; default: its own")
    precision: Precision = Field(default="fp32", description="precision in which a frozen base is computed")
    runtime: str = Field(
        default="auto", description="runtime that computes a frozen base; auto: the fastest one that supports it"
    )
    freeze_base: bool = Field(default=True, description="train the head only")
    freeze_early_layers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="layers of an unfrozen base kept fixed"
    )
    head: Head = Field(default="mlp", description="; ".join(f"{name}: {head.help}" for name, head in HEADS.items()))
    init: Init = Field(default="base", description="start as the base's PCA projection, or at random")
    output_dim: Count = Field(default=512, description="d, the dimension of the embeddings")


@_with_fields({term.weight: (Weight, Field(default=term.default, description=term.help)) for term in TERMS})
class StageSettings(_Section):
    """One stage of training: its data's size, its optimisation, and the weight of each term of the loss.

    The terms are those of `ragcun.losses.terms`.
    """

    source: Literal["pairs", "wiki", "msmarco"] = Field(default="pairs", description="what the stage trains on")
    rows: Count | None = Field(default=None, description="how many pairs (or passages) are taken; default: all")
    passage_chars: Count = Field(default=500, description="characters kept of a Wikipedia passage")
    epochs: Count = 10
    batch_size: Annotated[int, Field(ge=2)] = Field(default=512, description="pairs a process and step")
    gradient_accumulation_steps: Count = 1
    mini_batch_size: Count | None = Field(
        default=None, description="texts a trained base sees at a time (GradCache); default: the whole batch"
    )
    negatives: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="given negatives of a pair that are used; default: all"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    base_learning_rate: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="of a base that is trained; default: learning_rate"
    )
    warmup_steps: Annotated[int, Field(ge=0)] = 20
    scheduler: Scheduler = "cosine"
    weight_decay: Weight = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    temperature: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="of squared distances; default: d/10"
    )
    learnable_temperature: bool = False
    interpolate: Interpolation = Field(
        default=0.9, description="how far what is saved goes from the start (0) to the end (1); auto: chosen on dev"
    )
    interpolate_tolerance: Share = Field(
        default=0.0, description="nDCG@10 that interpolate auto may lose on a collection of data.out_of_domain"
    )
    mixed_precision: MixedPrecision = Field(
        default="auto", description="auto: bf16 where the device has it, else fp16 on GPUs"
    )
    gradient_checkpointing: bool = Field(default=False, description="compute a trained base's activations twice")
    compile: bool = Field(default=False, description="compile a trained base (torch.compile)")
    track: tuple[Tracker, ...] = Field(default=(), description="where the history goes besides history.jsonl")
    log_interval: Count = 10
    eval_interval: Count | None = Field(
        default=None, description="steps between evaluations on dev; default: each epoch"
    )
    save_interval: Count | None = Field(default=None, description="steps between checkpoints; default: each epoch")

    def weights(self) -> dict[str, float]:
        """The weight of each term of the loss, by its setting's name."""
        return {term.weight: getattr(self, term.weight) for term in TERMS}

    @property
    def needs_teacher(self) -> bool:
        """Whether a term that has a weight sees the base's embeddings."""
        return any(term.needs_teacher and self.weights()[term.weight] for term in TERMS)


class EvaluationSettings(_Section):
    """What `ragcun run` evaluates on, and against what."""

    datasets: tuple[str, ...] = Field(default=(), description="collections below data_dir, or 'pydocs'")
    data_dir: str | None = Field(default=None, description="folder of collections in BEIR's layout")
    split: str = "test"
    baselines: tuple[str, ...] = Field(
        default=("bm25", "base"), description="'base' is the base of the head, 'random' its head started at random"
    )


class Settings(_Section):
    """A complete configuration: what a preset, a `--config` file and `settings.toml` of an experiment hold."""

    preset: str | None = Field(default=None, description="the preset it started from")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    pretraining: StageSettings | None = Field(default=None, description="stage 1, of the full strategies")
    training: StageSettings = StageSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _heads_agree(self) -> "Settings":
        model = self.model
        if model.freeze_base and model.freeze_early_layers:
            raise ValueError("freeze_early_layers is for a base that is trained; set freeze_base = false")
        if model.freeze_base and self.pretraining is not None:
            raise ValueError("pretraining is for a base that is trained; set freeze_base = false")
        if not model.freeze_base and not HEADS[model.head].trainable:
            raise ValueError(f"head {model.head} has nothing to train and needs a frozen base")
        if not model.freeze_base and self.training.interpolate == "auto":
            raise ValueError(
                "interpolate auto needs a frozen base, whose embeddings are stored; give a number from 0 to 1"
            )
        if self.data.out_of_domain and self.training.interpolate != "auto":
            raise ValueError('data.out_of_domain is for interpolate = "auto"')
        for name in ("base_learning_rate", "mini_batch_size", "gradient_checkpointing", "compile"):
            if model.freeze_base and getattr(self.training, name):
                raise ValueError(f"{name} is for a base that is trained; set freeze_base = false")
        return self
