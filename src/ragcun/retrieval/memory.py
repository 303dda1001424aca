"""The resources of a search, and the sizes of its blocks, by which it stays within its memory."""

import math
from dataclasses import dataclass

import psutil

from ragcun.embedding.store import RESIDENT
from ragcun.errors import UserError
from ragcun.retrieval.checkpoint import Checkpoints

DEFAULT = 4 * 2**30  # bytes in addition to what the process holds already

_VECTORS = 1_024  # candidates' vectors that one thread reads at a time to score them again
_OF_A_VECTOR = 24  # bytes per dimension while a vector is scored
_OF_A_CANDIDATE = 100  # bytes per candidate while candidates are scored
_FEW = 256  # the size of a block that is not reduced before strips of queries are


def parse_memory(text: str) -> int:
    """Parse a size such as "4GiB" or "500MB" into bytes. Raises `UserError` for any other text."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UserError(f"--memory {text}: must be a size such as 4GiB or 500MB") from None


@dataclass(frozen=True)
class Resources:
    """The resources of a search, which do not change its result.

    Attributes:
        memory: the bytes that the process may hold during the search; None is `DEFAULT` more than it holds now, or at
            least what the queries and their results need.
        device: the device of the matrix products, as torch names it; None is the processor's cores.
        checkpoints: the checkpoints of the search; None for no checkpoints.
        query_block: the maximum number of queries of one matrix product.
        document_block: the maximum number of documents of one matrix product.
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
        documents: the documents of a block.
        queries: the queries whose scores with a block one thread computes.
        rescored: the queries whose candidates are scored again at a time.
        vectors: the candidates that one thread scores again at a time.
    """

    documents: int
    queries: int
    rescored: int
    vectors: int


def portions(
    resources: Resources, n_queries: int, n_documents: int, dimension: int, keep: int, threads: int
) -> Portions:
    """Return the largest portions, up to the blocks of `resources`, with which a search stays within its memory.

    Args:
        resources: the resources, of which memory and blocks are used.
        n_queries: the number of queries; these, their candidates and the result stay in memory.
        n_documents: the number of documents; the ranks of their ids stay in memory.
        dimension: the dimension of the vectors.
        keep: the number of candidates per query.
        threads: the number of threads that score at the same time.

    Raises:
        UserError: not even the smallest portions fit; the message states the necessary memory.
    """
    memory = resources.memory
    resident = psutil.Process().memory_info().rss
    throughout = n_queries * (8 * (dimension + 1) + 24 * keep) + 16 * n_documents + (threads + 1) * 2 * RESIDENT
    room = (DEFAULT if memory is None else memory - resident) - throughout

    def blocks(documents: int, queries: int) -> int:
        # Memory holds vectors as read, converted and moved, those of the next block, scores, and arrays made from
        # these.
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
