"""Processes started by a launcher (`accelerate launch`, `torchrun`), and how this process joins them.

The functions about the environment do not import torch. `collectives` has the operations of joined processes;
there, the rank and the number of processes are those of the group.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from ragcun.errors import UserError

if TYPE_CHECKING:
    from accelerate import PartialState

_PATIENCE = timedelta(days=1)  # other processes wait this long while one prepares data


def launched_processes() -> int:
    """Return the number of processes that the launcher started; 1 without a launcher.

    Raises:
        UserError: WORLD_SIZE is not a number of processes.
    """
    return _number("WORLD_SIZE", 1, 1)


def launched_rank() -> int:
    """Return the rank that the launcher gave this process, from 0; 0 without a launcher.

    Raises:
        UserError: RANK is not a rank.
    """
    return _number("RANK", 0, 0)


def is_first() -> bool:
    """Return whether this process prints and writes, as only the first of the launched processes does."""
    return launched_rank() == 0


def refuse_launcher(why: str) -> None:
    """Raise a `UserError` with the reason `why` if a launcher started several processes."""
    if launched_processes() > 1:
        raise UserError(why)


def check_launcher() -> None:
    """Raise a `UserError` if the variables that a launcher sets in the environment are not those of a launcher."""
    if launched_rank() >= launched_processes():
        raise UserError(
            f"RANK = {launched_rank()}: must be below WORLD_SIZE = {launched_processes()}; a launcher sets "
            "both, so unset them if you use none"
        )
    _number("LOCAL_RANK", 0, 0)
    if launched_processes() > 1:
        for variable in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            if not os.environ.get(variable):
                raise UserError(
                    f"{variable}: is not set, but WORLD_SIZE = {launched_processes()} is; a launcher (accelerate "
                    "launch, torchrun) sets all of them, so unset WORLD_SIZE if you use none"
                )
        _number("MASTER_PORT", 0, 1)


def join_processes() -> "PartialState":
    """Join the launched processes, over gloo if there is no accelerator; without a launcher, join this process alone.

    Raises:
        UserError: a configuration that splits the encoder, or a launcher that started one process of several.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import DistributedType, parse_flag_from_env

    check_launcher()
    for kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if parse_flag_from_env(f"ACCELERATE_USE_{kind}"):
            raise _not_served(kind)
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=_PATIENCE)
    if state.distributed_type not in {DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU}:
        raise _not_served(state.distributed_type.value)
    if state.num_processes == 1 and _meant_for_several():
        raise UserError(
            "without a GPU, `accelerate launch` starts only one of several processes; use --multi_gpu instead "
            "of --cpu, which starts them all, also on CPUs"
        )
    return state


@contextmanager
def first_process_first() -> Iterator[None]:
    """Run the block on the first process, then on the others, which find the files that it downloaded."""
    if launched_processes() == 1:
        yield
        return
    with join_processes().main_process_first():
        yield


def _number(variable: str, default: int, least: int) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdecimal() or int(value) < least:
        raise UserError(
            f"{variable} = {value!r}: must be a whole number of at least {least}; a launcher (accelerate "
            "launch, torchrun) sets it, so unset it if you use none"
        )
    return int(value)


def _meant_for_several() -> bool:
    """Return whether Accelerate's simple launcher started one process of several, for which it sets an address."""
    asked = "ACCELERATE_USE_CPU" in os.environ and os.environ.get("MASTER_ADDR") == "127.0.0.1"
    return asked and "RANK" not in os.environ


def _not_served(kind: str) -> UserError:
    return UserError(
        f"an Accelerate configuration for {kind} is not supported; `accelerate config` without it, or "
        "`accelerate launch --multi_gpu`, keeps one copy of the encoder on each process"
    )
