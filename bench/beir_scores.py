"""BEIR's own evaluation of a model on a collection on disk, as its README runs it.

    python bench/beir_scores.py MODEL COLLECTION

Prints JSON: nDCG@10. BEIR's exact search knows dot product and cosine, so a model that is searched by Euclidean
distance scores differently here; the work is the same.
"""

import json
import sys

from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval import models
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch

model, collection = sys.argv[1:]
corpus, queries, qrels = GenericDataLoader(collection).load(split="test")
retriever = EvaluateRetrieval(
    DenseRetrievalExactSearch(models.SentenceBERT(model), batch_size=16), score_function="dot"
)
ndcg, *_ = retriever.evaluate(qrels, retriever.retrieve(corpus, queries), retriever.k_values)
print(json.dumps({"nDCG@10": ndcg["NDCG@10"]}))
