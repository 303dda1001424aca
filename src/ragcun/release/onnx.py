"""Export of an encoder as one ONNX graph from tokens to the embedding, including head and pooling."""

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import ResolvedModel
from ragcun.errors import RagcunError, UserError
from ragcun.files import atomic_folder

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_TEXTS = ["how do plants make sugar", "whales are mammals, which breathe air", "a"]
_TOLERANCE = 1e-4  # relative to the longest embedding

_README = """# {title} in ONNX

`model.onnx` computes embeddings of {dimension} dimensions from tokens; compare them by {similarity}.
Texts are cut after {length} tokens{prompts}.

```python
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({loaded_as})
session = onnxruntime.InferenceSession({loaded_as} + "/model.onnx")
tokens = tokenizer(["a question"], padding=True, truncation=True, max_length={length}, return_tensors="np")
names = {{given.name for given in session.get_inputs()}}
(embeddings,) = session.run(None, {{name: tokens[name] for name in names}})
print(embeddings.shape)
```
"""


class _Graph(nn.Module):
    """A module that takes tokens as separate arguments and returns the embedding."""

    def __init__(self, model: SentenceTransformer, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tokens: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(dict(zip(self.names, tokens, strict=True)))["sentence_embedding"]
        return found


def write_onnx(resolved: ResolvedModel, folder: Path, title: str, loaded_as: str) -> Path:
    """Write model.onnx, the tokenizer and README.md to `folder`, which appears whole or not at all.

    Before that, ONNX Runtime's embeddings of three texts of different lengths are compared with torch's.

    Raises:
        UserError: the extra `onnx` is not installed, or `folder` exists and is not empty.
        RagcunError: the model cannot be expressed in ONNX, or its embeddings differ.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"--to onnx: {', '.join(missing)} is not installed; run pip install 'ragcun[onnx]'")
    model = load_model(resolved, device="cpu").eval()
    tokens = {name: value for name, value in model.preprocess(_TEXTS).items() if isinstance(value, torch.Tensor)}
    names = list(tokens)
    graph = _Graph(model, names).eval()
    with atomic_folder(folder) as building:
        path = building / "model.onnx"
        _export(graph, tokens, path)
        _compare(graph, tokens, path)
        model.tokenizer.save_pretrained(building)
        prompts = {name: prompt for name, prompt in (model.prompts or {}).items() if prompt}
        readme = _README.format(
            title=title,
            dimension=model.get_embedding_dimension(),
            similarity={"euclidean": "Euclidean distance"}.get(str(model.similarity_fn_name), "cosine"),
            length=model.max_seq_length,
            prompts=f"; its prompts are {json.dumps(prompts)}" if prompts else "",
            loaded_as=json.dumps(loaded_as),
        )
        (building / "README.md").write_text(readme, encoding="utf-8")
    return folder


def _export(graph: _Graph, tokens: dict[str, torch.Tensor], path: Path) -> None:
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", min=2)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                tuple(tokens.values()),
                path,
                input_names=list(tokens),
                output_names=["sentence_embedding"],
                dynamic_shapes={"tokens": tuple(axes for _ in tokens)},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RagcunError(
            f"--to onnx: the model cannot be expressed in ONNX ({type(error).__name__}: {reason})"
        ) from error


def _compare(graph: _Graph, tokens: dict[str, torch.Tensor], path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs: dict[str, Any] = {name: value.numpy() for name, value in tokens.items()}
    names = {given.name for given in session.get_inputs()}
    (found,) = session.run(None, {name: value for name, value in inputs.items() if name in names})
    with torch.no_grad():
        expected = graph(*tokens.values())
    difference = float((torch.from_numpy(found) - expected).abs().max() / expected.norm(dim=1).max())
    if not difference <= _TOLERANCE:
        raise RagcunError(
            f"--to onnx: ONNX Runtime's embeddings differ from torch's by {difference:.1e} of their length"
        )
