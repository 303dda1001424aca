"""The width of a model's embeddings, read from its files without torch, and the default output dimension."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragcun.embedding.model_files import check_model_files
from ragcun.embedding.resolve import ResolvedModel
from ragcun.errors import UserError
from ragcun.files import read_json
from ragcun.heads.registry import HEADS

if TYPE_CHECKING:
    from ragcun.settings.schema import Settings

_MOST = 512  # the maximum of the default output dimension


def embedding_width(folder: Path) -> int | None:
    """Return the dimension of the embeddings of the model in `folder`; None if the configuration does not state it."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return _hidden_size(folder)
    for module in reversed(read_json(modules)):
        place = folder / module.get("path", "")
        match str(module["type"]).rpartition(".")[2]:
            case "Dense":
                return int(read_json(place / "config.json")["out_features"])
            case "Pooling":
                return _pooled(read_json(place / "config.json"))
            case "Transformer":
                return _hidden_size(place)
    return None


def width_of(model: ResolvedModel) -> int | None:
    """The dimension of the model's embeddings; None if its files do not state it.

    Raises:
        UserError: as `check_model_files` does; its configuration is not that of a model.
    """
    check_model_files(model.path, model.source)
    try:
        return embedding_width(model.path)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{model.source}: its configuration is not that of a model; download or save it again"
        ) from None


def with_output_dim(settings: "Settings", base: ResolvedModel) -> "Settings":
    """Set the output dimension from the base's width, as `fit_output_dim` does.

    Raises:
        UserError: as `width_of` and `fit_output_dim` do; the base's files do not tell the width, and no output
            dimension is given.
    """
    width = width_of(base)
    if width is not None:
        return fit_output_dim(settings, width, base.label)
    if settings.model.output_dim is None:
        raise UserError(f"{base.label}: its files do not state the width of its embeddings; give --output-dim")
    return settings


def fit_output_dim(settings: "Settings", width: int, base: str) -> "Settings":
    """Return settings with `model.output_dim` set: `width`, at most 512, if none is given.

    Raises:
        UserError: the given dimension is impossible for this base, which is called `base`.
    """
    model = settings.model
    head = HEADS[model.head]
    if head.keeps_width:
        if model.output_dim not in {None, width}:
            raise UserError(
                f"--output-dim {model.output_dim}: head {model.head} keeps the {width} dimensions of {base}; "
                f"give --output-dim {width}"
            )
        chosen = width
    else:
        chosen = min(width, _MOST) if model.output_dim is None else model.output_dim
        if chosen > width and (model.start_power is not None or not head.trainable):
            raise UserError(
                f"--output-dim {chosen}: {base} has {width} dimensions, and a head that is initialised as its "
                f"projection has at most these; give --output-dim {width} or less, or --init random"
            )
    if wrong := [first for first in settings.training.nested_dims if not 0 < first < chosen]:
        raise UserError(f"--nested-dims {wrong[0]}: must be at least 1 and less than the {chosen} of --output-dim")
    return settings.model_copy(update={"model": model.model_copy(update={"output_dim": chosen})})


def _hidden_size(folder: Path) -> int | None:
    config: dict[str, Any] = read_json(folder / "config.json")
    size = config.get("text_config", config).get("hidden_size")
    return None if size is None else int(size)


def _pooled(config: dict[str, Any]) -> int:
    """Return the width after pooling, which concatenates the outputs of several modes."""
    if "embedding_dimension" in config:
        mode = config.get("pooling_mode", "mean")
        return int(config["embedding_dimension"]) * (1 if isinstance(mode, str) else len(mode))
    modes = sum(bool(value) for name, value in config.items() if name.startswith("pooling_mode_"))
    return int(config["word_embedding_dimension"]) * max(1, modes)
