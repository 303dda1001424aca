"""Checkpoints: safetensors files with a JSON state in the header's "state" and a checksum, complete or absent.

checkpoints/start.safetensors   the trained weights before training; state: ndcg on dev
checkpoints/best.safetensors    the weights with the best nDCG@10 on dev; state: ndcg, step
checkpoints/last.safetensors    everything that is needed to resume: trained.*, objective.* (a learnt temperature,
                                buffers of terms) and optimiser.INDEX.* (Adam's moments); state: step, seconds, the best
                                step and its nDCG@10, the scaler of fp16, the division of batches, and the identity of
                                the training (a hash of its settings and data), which must match for resuming
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ragcun.errors import RagcunError
from ragcun.intact import DamagedError, check_safetensors, write_safetensors

Tensors = dict[str, torch.Tensor]


def save_tensors(path: Path, tensors: Tensors, state: dict[str, Any]) -> None:
    """Write tensors and a JSON state into one file, atomically.

    Raises:
        RagcunError: the file cannot be written, as with a full disk; the former file is kept.
    """
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        write_safetensors(
            path, lambda temporary, metadata: save_file(copies, temporary, metadata), {"state": json.dumps(state)}
        )
    except (OSError, SafetensorError) as error:
        raise RagcunError(
            f"{path}: cannot be written ({error}); the former checkpoint is kept. Free some space, then run "
            "the same command again"
        ) from error


def load_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read a file of `save_tensors`. Raises as `refuse_damage` does."""
    refuse_damage(path)
    with safe_open(path, framework="pt") as stream:
        state = json.loads(stream.metadata()["state"])
        return {name: stream.get_tensor(name) for name in stream.keys()}, state  # noqa: SIM118


def refuse_damage(path: Path) -> None:
    """Raise a `RagcunError` if a checkpoint is damaged or missing, which only a new training can repair."""
    try:
        check_safetensors(path)
    except FileNotFoundError:
        raise RagcunError(f"{path}: missing; delete {path.parent} and run the same command to train again") from None
    except DamagedError as error:
        raise RagcunError(f"{error}; delete {path.parent} and run the same command to train again") from None


def pack(prefix: str, tensors: Tensors) -> Tensors:
    """Put `prefix.` before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unpack(prefix: str, tensors: Tensors) -> Tensors:
    """Select the tensors that `pack` named with `prefix`, by their former names."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """Return the optimiser's state as named tensors, without hyperparameters, which follow from the settings."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{name}": torch.as_tensor(value) for index, of in state.items() for name, value in of.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Restore the state that `optimiser_tensors` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
