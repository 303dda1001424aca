"""The processes that train together, as a launcher (`accelerate launch`, `torchrun`) started them."""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import DistributedType, parse_flag_from_env

from ragcun.errors import UserError
from ragcun.losses.processes import process_count

_SERVED = {DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU}
_PATIENCE = timedelta(days=1)  # the others wait while one prepares data


def join_processes() -> PartialState:
    """Join the processes of this training, over gloo where there is no accelerator; one alone without a launcher.

    Raises:
        UserError: a configuration that splits the encoder, or a launcher that started one process of several.
    """
    for kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if parse_flag_from_env(f"ACCELERATE_USE_{kind}"):
            raise _not_served(kind)
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=_PATIENCE)
    if state.distributed_type not in _SERVED:
        raise _not_served(state.distributed_type.value)
    if state.num_processes == 1 and _meant_for_several():
        raise UserError(
            "train: `accelerate launch` starts only one of several processes where there is no GPU; --multi_gpu in "
            "place of --cpu starts them all, on CPUs too"
        )
    return state


def average_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """The mean over processes of each gradient, in one message."""
    if process_count() == 1:
        return
    gradients = []
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        gradients.append(weight.grad)
    joined = torch.nn.utils.parameters_to_vector(gradients)
    dist.all_reduce(joined)
    torch.nn.utils.vector_to_parameters(joined / process_count(), gradients)


def _meant_for_several() -> bool:
    """Whether Accelerate's simple launcher, which starts one process, was asked for more: it names a meeting place."""
    asked = "ACCELERATE_USE_CPU" in os.environ and os.environ.get("MASTER_ADDR") == "127.0.0.1"
    return asked and "RANK" not in os.environ


def _not_served(kind: str) -> UserError:
    return UserError(
        f"train: an Accelerate configuration for {kind} is not supported; `accelerate config` without it, or "
        "`accelerate launch --multi_gpu`, trains with one copy of the encoder a process"
    )
