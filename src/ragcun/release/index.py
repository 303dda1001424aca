"""A collection's documents as a FAISS index that is searched without ragcun."""

import json
from pathlib import Path

import numpy as np

from ragcun.data.collection import Collection
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.origin import name_to_load
from ragcun.errors import RagcunError
from ragcun.files import atomic_folder, write_json

_README = """# {name} as a FAISS index

`index.faiss` has the {documents:,} documents of {name}, embedded by {model}, for exact search by {similarity}.
`ids.json` has their ids in the order of the rows.

```python
import json

import faiss
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({loaded_as})
index = faiss.read_index("index.faiss")
ids = json.load(open("ids.json", encoding="utf-8"))
queries = model.encode_query(["a question"]{normalised})
scores, rows = index.search(queries, 10)
print([ids[row] for row in rows[0]])
```
"""


def write_index(embedder: Embedder, collection: Collection, folder: Path) -> Path:
    """Write index.faiss, ids.json, index.json and README.md to `folder`, which appears whole or not at all.

    The index is flat. It compares by squared Euclidean distance for a Euclidean model, and by inner product otherwise;
    vectors have unit length for a cosine model. Raises `UserError` if `folder` exists and is not empty.
    """
    import faiss

    euclidean, cosine = embedder.similarity == "euclidean", embedder.similarity == "cosine"
    vectors = embedder.documents(collection.corpus)
    index = faiss.IndexFlatL2(embedder.dimension) if euclidean else faiss.IndexFlatIP(embedder.dimension)
    for block in vectors.blocks():
        rows = np.array(block)
        if cosine:
            faiss.normalize_L2(rows)
        index.add(rows)
    facts = {
        "model": embedder.label,
        "fingerprint": embedder.fingerprint,
        "similarity": embedder.similarity,
        "dimension": embedder.dimension,
        "documents": len(collection.corpus),
        "collection": collection.name,
        "texts": collection.texts_fingerprint(),
    }
    readme = _README.format(
        name=collection.name,
        documents=len(collection.corpus),
        model=embedder.label,
        similarity={"euclidean": "Euclidean distance", "cosine": "cosine"}.get(embedder.similarity, "inner product"),
        loaded_as=json.dumps(name_to_load(embedder.resolved)),
        normalised=", normalize_embeddings=True" if cosine else "",
    )
    with atomic_folder(folder) as building:
        try:
            faiss.write_index(index, str(building / "index.faiss"))
        except RuntimeError as error:
            reason = " ".join(str(error).rpartition(": ")[2].split())
            raise RagcunError(
                f"{folder}: cannot be written ({reason}); free some space, or choose another disk"
            ) from error
        write_json(building / "ids.json", list(collection.corpus.ids()))
        write_json(building / "index.json", facts)
        (building / "README.md").write_text(readme, encoding="utf-8")
    return folder
