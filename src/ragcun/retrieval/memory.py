"""The resources of a search, and the sizes of its blocks, which keep it within its memory."""

import math
from dataclasses import dataclass

import psutil

from ragcun.embedding.store import RESIDENT
from ragcun.errors import UserError
from ragcun.retrieval.checkpoint import Checkpoints

DEFAULT = 4 * 2**30  # bytes beside what the process holds already

_VECTORS = 1_024  # of candidates that one thread reads at a time to score them again
_OF_A_VECTOR = 24  # bytes for each dimension while it is scored
_OF_A_CANDIDATE = 100  # bytes while candidates are scored
_FEW = 256  # documents of a block; strips of queries are made shorter before blocks are


def parse_memory(text: str) -> int:
    """Bytes of a size such as "4GiB" or "500MB". Raises `UserError` for anything else."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UserError(f"--memory {text}: must be a size such as 4GiB or 500MB") from None


@dataclass(frozen=True)
class Resources:
    """Resources of a search. They do not change its result.

    Attributes:
        memory: bytes that the process may hold while it searches; None: `DEFAULT` more than it holds now, or what the
            queries and their results take at least.
        device: the device that blocks go through, as torch names it; None: the processor's cores.
        checkpoints: where what has been found is kept, and looked for; None: nowhere.
        query_block: queries of one matrix product, at most.
        document_block: documents of one matrix product, at most.
    """

    memory: int | None = None
    device: str | None = None
    checkpoints: Checkpoints | None = None
    query_block: int = 512
    document_block: int = 4_096


@dataclass(frozen=True)
class Portions:
    """The sizes of a search's blocks.

    Attributes:
        documents: of a block.
        queries: whose scores with a block one thread computes.
        rescored: queries whose candidates are scored again.
        vectors: of candidates, that one thread scores again.
    """

    documents: int
    queries: int
    rescored: int
    vectors: int


def portions(
    resources: Resources, n_queries: int, n_documents: int, dimension: int, keep: int, threads: int
) -> Portions:
    """The largest portions, up to the blocks of `resources`, with which a search stays within its memory.

    Args:
        resources: of these, blocks and memory count.
        n_queries: all of them; they, their candidates and the result are in memory throughout.
        n_documents: all of them; the ranks of their ids are in memory throughout.
        dimension: of the vectors.
        keep: candidates of a query.
        threads: that score at the same time.

    Raises:
        UserError: not even the smallest portions fit; says what would.
    """
    memory = resources.memory
    resident = psutil.Process().memory_info().rss
    throughout = n_queries * (8 * (dimension + 1) + 24 * keep) + 16 * n_documents + (threads + 1) * 2 * RESIDENT
    room = (DEFAULT if memory is None else memory - resident) - throughout

    def blocks(documents: int, queries: int) -> int:
        # Vectors: read, converted, moved, and those of the next block. Scores, and what is derived from them.
        return documents * (24 * (dimension + 1) + 20 * threads * queries) + 48 * threads * queries * keep

    least = blocks(_FEW, 1) + 2 * (_OF_A_CANDIDATE * keep + _OF_A_VECTOR * dimension * threads)
    if memory is None:
        room = max(room, least)
    if room < least:
        needed = math.ceil(1.1 * (resident + throughout + least) / 2**20)
        raise UserError(
            f"the search for {n_queries:,} queries does not fit into the allowed memory; give --memory "
            f"{needed}MiB or more"
        )
    queries = min(resources.query_block, math.ceil(n_queries / threads))
    while queries > 1 and blocks(_FEW, queries) > room:
        queries //= 2
    return Portions(
        documents=min(
            resources.document_block, (room - blocks(0, queries)) // (blocks(1, queries) - blocks(0, queries))
        ),
        queries=queries,
        rescored=room // 2 // (_OF_A_CANDIDATE * keep),
        vectors=min(_VECTORS, room // 2 // (_OF_A_VECTOR * dimension * threads)),
    )
