"""Processor seconds in which each codec is fitted, codes and searches, for 100,000 vectors.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python bench/codes_time.py [--codes 2bit/192,trellis48] [--documents 20000]
    [--dimension 384] [--queries 100]

The vectors are those of bench/codes_large.py. Coding and searching are told for 100,000 vectors, fitting for those that
there are. Prints a row of JSON for each codec.
"""

import argparse
import json
import time

import numpy as np
from codes_large import Drawn

from ragcun.retrieval.codecs.search import FittedCodec
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.memory import Resources

CODES = "fp32,fp16,int8,4bit,2bit,1bit,2bit/192,trellis48,binary,rabitq,pq48,opq48"
TOLD = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", default=CODES)
    for name, default in {"documents": 20_000, "dimension": 384, "queries": 100}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    count = options.documents
    vectors = Drawn(count, options.dimension).block(0, count)
    queries, ids, nobody = vectors[: options.queries], np.arange(count), np.full(options.queries, -1)

    class Documents:
        shape = vectors.shape

        def block(self, start: int, stop: int, /) -> np.ndarray:
            return vectors[start:stop]

        def rows(self, index: np.ndarray, /) -> np.ndarray:
            return vectors[index]

    for code in options.codes.split(","):
        times = [time.process_time()]
        fitted = FittedCodec.fit(Documents(), CodecSpec.parse(code), "euclidean")
        times.append(time.process_time())
        coded = fitted.encode(Documents())
        times.append(time.process_time())
        fitted.search(queries, coded, 100, ids, nobody, Resources())
        times.append(time.process_time())
        fit, code_time, search = np.diff(times)
        told = {"codec": code, "bytes": coded.bytes, "seconds to fit": round(fit, 2)}
        told["seconds to code"] = round(code_time * TOLD / count, 2)
        told["seconds to search"] = round(search * TOLD / count, 2)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
