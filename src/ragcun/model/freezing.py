"""Freezing of early layers of a base."""

from sentence_transformers import SentenceTransformer
from torch import nn

from ragcun.errors import UserError


def freeze_early_layers(base: SentenceTransformer, count: int, name: str) -> None:
    """Freeze the embeddings and the first `count` transformer layers of `base`, which is called `name`.

    The layers are the only list of modules of the same type in the transformer: `encoder.layer` of BERT and MPNet,
    `layers` of Gemma. Modules outside the layers, such as MPNet's table of relative positions, count as embeddings.

    Raises:
        UserError: there is no such list or more than one, or it has too few layers.
    """
    if count == 0:
        return
    transformer = base[0].auto_model
    lists = [
        (path, modules)
        for path, modules in transformer.named_modules()
        if isinstance(modules, nn.ModuleList) and len(modules) > 1 and len({type(module) for module in modules}) == 1
    ]
    if len(lists) != 1:
        found = ", ".join(path for path, _ in lists) or "none"
        raise UserError(f"freeze_early_layers = {count}: cannot identify the layers of {name} (lists: {found})")
    path, layers = lists[0]
    if count > len(layers):
        raise UserError(f"freeze_early_layers = {count}: {name} has only {len(layers)} layers")
    for child_path, module in transformer.named_modules():
        named_so = "embed" in child_path.rpartition(".")[2].lower()
        if (named_so or isinstance(module, nn.Embedding)) and not child_path.startswith(f"{path}."):
            module.requires_grad_(requires_grad=False)
    for layer in layers[:count]:
        layer.requires_grad_(requires_grad=False)
