"""Relevance judgements: BEIR's three columns, or TREC's four, read as parallel columns."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcun.data.index import numbered_lines
from ragcun.data.jsonl import JsonlTexts
from ragcun.data.problems import Problems
from ragcun.data.streams import not_utf8, open_bytes

MISSING = "judged document is not in the corpus; it counts in the ideal ranking, as in trec_eval"
_HEADINGS = {"score", "relevance", "rel", "grade", "label"}
_LARGEST = 10**6  # trec_eval takes 8 bytes of memory for each grade up to the largest
_GRADE = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")


@dataclass(frozen=True)
class Judgements:
    """Judgements in the file's order, as columns of equal length: ids, rows in the queries and the corpus, and grades.

    The row of a document that is not in the corpus is -1: it cannot be found, but counts in the ideal ranking.
    """

    query_ids: list[str]
    document_ids: list[str]
    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    grades: NDArray[np.int64]


def read_judgements(
    path: str | os.PathLike[str], queries: JsonlTexts, corpus: JsonlTexts
) -> tuple[Judgements, Problems]:
    """Read a qrels file, separated by tabs with BEIR's quoting or, in a line without tabs, by spaces as TREC does.

    The file has three columns (query, document, grade) or TREC's four (query, iteration, document, grade), with or
    without a header and gzip compression. Malformed lines, grades that are not whole numbers, unknown queries and
    second judgements of a pair (a note if the grade is the same) are left out and counted. Judgements of documents that
    are not in the corpus, and queries without a relevant document, are kept, as in trec_eval, and reported.
    """
    problems = Problems()
    query_ids: list[str] = []
    document_ids: list[str] = []
    grades: list[int] = []
    numbers: list[int] = []
    with open_bytes(Path(path)) as stream:
        for nth, (_, number, line) in enumerate(numbered_lines(stream)):
            try:
                fields = _fields(line)
                if nth == 0 and fields[-1].strip().lower() in _HEADINGS:
                    continue
                query, document, grade = _judgement(fields)
            except ValueError as problem:
                problems.add(not_utf8(line) if b"\0" in line[:2] else str(problem), f"{path}:{number}")
                continue
            query_ids.append(query)
            document_ids.append(document)
            grades.append(grade)
            numbers.append(number)
    query_rows, document_rows = queries.rows(query_ids), corpus.rows(document_ids)
    kept: list[int] = []
    seen: dict[tuple[str, str], int] = {}
    relevant: dict[str, int] = {}
    for i, pair in enumerate(zip(query_ids, document_ids, strict=True)):
        place = f"{path}:{numbers[i]}"
        if query_rows[i] < 0:
            problems.add("judged query is not among the queries", f'{place} "{query_ids[i]}"')
        elif pair in seen and seen[pair] != grades[i]:
            problems.add("contradictory judgement", place)
        elif pair in seen:
            problems.note("repeated judgement", place)
        else:
            seen[pair] = grades[i]
            kept.append(i)
            relevant[pair[0]] = relevant.get(pair[0], 0) + (grades[i] > 0)
            if document_rows[i] < 0:
                problems.remark(MISSING, f'{place} "{document_ids[i]}"')
    for query, count in relevant.items():
        if not count:
            problems.remark("query without a relevant document, which scores 0", f'{path} "{query}"')
    return (
        Judgements(
            [query_ids[i] for i in kept],
            [document_ids[i] for i in kept],
            query_rows[kept],
            document_rows[kept],
            np.array(grades, dtype=np.int64)[kept],
        ),
        problems,
    )


def _fields(line: bytes) -> list[str]:
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(not_utf8(line)) from None
    if "\t" not in text:
        return text.split()
    if '"' not in text:
        return text.split("\t")
    try:
        quoted = next(csv.reader([text], delimiter="\t"))
    except csv.Error:
        quoted = []
    # An unclosed quotation mark is a character of an id, but the csv module would read on to the next one.
    return quoted if len(quoted) in {3, 4} else text.split("\t")


def _judgement(fields: list[str]) -> tuple[str, str, int]:
    if len(fields) == 4:
        del fields[1]
    if len(fields) != 3 or not fields[0] or not fields[1]:
        raise ValueError("malformed line")
    grade = _GRADE.fullmatch(fields[2].strip())
    if grade is None:
        raise ValueError("grade is not a whole number")
    if abs(int(grade[1])) > _LARGEST:
        raise ValueError("grade beyond a million, which no grade is")
    return fields[0], fields[1], int(grade[1])
