"""Queries that a sequence-to-sequence model writes for passages (doc2query, Nogueira et al., arXiv 1904.08375)."""

import hashlib
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
import xxhash
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from ragcun.console import progress
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.mining.passages import Passage
from ragcun.mining.queries import Pair, Skip, checked

DEFAULT_MODEL = "doc2query/msmarco-t5-base-v1"
_BATCH = 16
_TOP_K = 10  # the sampling parameter of the published doc2query models
_MOST_TOKENS = 64


class Doc2Query:
    """The method `doc2query`, which samples one query per passage. Queries are saved in `kept`, batch by batch.

    Args:
        model: the hub id or folder of the model.
        seed: the random seed; samples depend on it and on the passages of a batch.
        kept: a JSON Lines file with one line per batch; saved queries of the same model and seed are used again.
    """

    def __init__(self, model: str, seed: int, kept: Path) -> None:
        self.seed = seed
        self.kept = kept
        resolved = resolve_model(model)
        self._of = f"{resolved.fingerprint} {seed}"
        self.queries: dict[str, str] = {}
        self._take_back()
        transformers_logging.disable_progress_bar()
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(resolved.path)
            self.model = AutoModelForSeq2SeqLM.from_pretrained(resolved.path, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"--query-model {model}: not a sequence-to-sequence model ({reason})") from error
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")

    def write(self, passages: Iterable[Passage]) -> None:
        """Generate a query for each passage that has none yet."""
        missing = (passage.text for passage in passages if _digest(passage.text) not in self.queries)
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        with progress("writing queries", None, "passages") as bar, self.kept.open("a", encoding="utf-8") as stream:
            while batch := list(islice(missing, _BATCH)):
                written = dict(zip(map(_digest, batch), self._sample(batch), strict=True))
                self.queries |= written
                line = json.dumps([self._of, written])
                stream.write(f"{_checksum(line)} {line}\n")
                stream.flush()
                bar.advance(len(batch))

    def __call__(self, passage: Passage, _seed: int) -> Pair:
        """Return the generated query of a passage, and the whole passage."""
        query = self.queries.get(_digest(passage.text))
        if query is None:
            raise Skip("no query written")
        return checked(query, passage.text)

    def _take_back(self) -> None:
        """Read the saved batches, and remove an incomplete or damaged line with everything after it."""
        if not self.kept.is_file():
            return
        whole = 0
        with self.kept.open("rb+") as stream:
            for line in stream:
                stated, _, content = line.decode(errors="replace").rstrip("\n").partition(" ")
                if stated != _checksum(content):
                    break
                of, written = json.loads(content)
                if of != self._of:
                    break
                self.queries |= written
                whole += len(line)
            stream.truncate(whole)

    @torch.no_grad()
    def _sample(self, texts: list[str]) -> list[str]:
        torch.manual_seed(int.from_bytes(hashlib.blake2b(f"{self.seed}{texts}".encode(), digest_size=7).digest()))
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
        inputs = {name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        written = self.model.generate(**inputs, max_new_tokens=_MOST_TOKENS, do_sample=True, top_k=_TOP_K)
        queries: list[str] = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return queries


def _checksum(line: str) -> str:
    return xxhash.xxh3_64(line.encode()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
