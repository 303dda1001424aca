"""Codes of a collection's documents together with the codec, as `ragcun export --to codes` writes them."""

import json
from pathlib import Path

from ragcun.data.collection import Collection
from ragcun.embedding.origin import name_to_load
from ragcun.files import atomic_folder, write_json
from ragcun.retrieval.codecs.saved import read_codes, write_codes
from ragcun.retrieval.codecs.search import FittedCodec
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.registry import Encoder
from ragcun.retrieval.retrievers import RetrieverOptions

_README = """# {name} as codes of {bytes} bytes

`codes.safetensors` has the codes of the {documents:,} documents of {name}, embedded by {model} and coded by {codec},
together with the codec. `ids.json` has the documents' ids in the order of the rows. A search reads the codes in
blocks, so that they need not fit in memory.

```python
import json
from pathlib import Path

import numpy as np
from ragcun.retrieval.codecs.saved import read_codes
from ragcun.retrieval.memory import Resources
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({loaded_as})
ids = json.loads(Path("ids.json").read_text(encoding="utf-8"))
codec, codes = read_codes(Path("codes.safetensors"))
queries = model.encode_query(["a question"])
top = codec.search(queries, codes, 10, np.arange(len(ids)), np.full(len(queries), -1), Resources())
print([ids[row] for row in top.rows[0]])
```
"""


def write_coded(
    model: Encoder, codec: CodecSpec, options: RetrieverOptions, collection: Collection, folder: Path
) -> Path:
    """Write codes.safetensors, ids.json, codes.json and README.md to `folder`, which appears whole or not at all.

    Args:
        model: an encoder.
        codec: the codec for its vectors, without rescoring, which needs exact vectors besides the codes.
        options: how the model encodes.
        collection: the collection of documents; the codec is fitted to them.
        folder: a new or empty folder.

    Raises:
        UserError: `folder` exists and is not empty.
    """
    embedder = model.embedder(options)
    vectors = embedder.documents(collection.corpus)
    fitted = FittedCodec.fit(vectors, codec, embedder.similarity)
    with atomic_folder(folder) as building:
        write_codes(building / "codes.safetensors", fitted, vectors)
        facts = {
            "model": embedder.label,
            "fingerprint": embedder.fingerprint,
            "collection": collection.name,
            "documents": len(collection.corpus),
            "texts": collection.texts_fingerprint(),
            "codec": fitted.describe(read_codes(building / "codes.safetensors")[1]),
        }
        write_json(building / "codes.json", facts)
        write_json(building / "ids.json", list(collection.corpus.ids()))
        readme = _README.format(
            name=collection.name,
            bytes=facts["codec"]["bytes"],  # type: ignore[index]
            documents=len(collection.corpus),
            model=embedder.label,
            codec=codec,
            loaded_as=json.dumps(name_to_load(embedder.resolved)),
        )
        (building / "README.md").write_text(readme, encoding="utf-8")
    return folder
