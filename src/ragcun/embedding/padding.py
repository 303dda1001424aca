"""Whether a base's vector of a text depends on the padding beside it.

It should not, but does where positions are counted from the padding (a tokenizer that pads on the left of a model with
absolute positions), where a layer mixes tokens without a mask (FNet), or looks at a token's neighbours (CNN). There
sentence-transformers gives a text another vector in each batch; ragcun gives the one that the text has alone.
"""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import CNN

from ragcun.embedding.base import Role, features_of, has_routes
from ragcun.embedding.torch_runtime import TorchEngine

_SHORT, _LONG = "one", "one two three four five six seven eight nine ten eleven twelve"
_CLOSE = 1e-3  # of a vector's norm, far above the rounding of fp32


def width_of(base: SentenceTransformer) -> int:
    """The dimension of the vectors that the base computes, whatever its files say."""
    vectors = TorchEngine(base).encode(features_of(base, [_SHORT], "document", ""))
    return int(vectors.shape[1])


def depends_on_padding(base: SentenceTransformer) -> bool:
    """Whether the base, in fp32, gives a short text another vector beside a long one than alone."""
    if any(isinstance(module, CNN) for module in base.modules()):
        return True
    modes = {module: module.training for module in base.modules()}
    base.eval()
    try:
        return any(_differs(base, role) for role in (("query", "document") if has_routes(base) else ("document",)))
    finally:
        for module, training in modes.items():
            module.training = training


def _differs(base: SentenceTransformer, role: Role) -> bool:
    engine = TorchEngine(base)
    alone, beside = (
        torch.from_numpy(engine.encode(features_of(base, texts, role, ""))[0]) for texts in ([_SHORT], [_SHORT, _LONG])
    )
    return not bool((alone - beside).norm() <= _CLOSE * alone.norm())
