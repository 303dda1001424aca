"""Runs with a header that describes how they were made, as ir_metadata defines it (Breuer et al., SIGIR 2022).

The header is YAML in comments between `# ir_metadata.start` and `# ir_metadata.end`. Python's readers of runs
(pytrec_eval, trectools) do not accept comments, so runs in results have no header, and these files are copies for
archives.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragcun.evaluation.results import Result, check_part, result_record
from ragcun.files import atomic_path

START, END = "# ir_metadata.start", "# ir_metadata.end"


def write_runs(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the run of each result to `folder`/DATASET.SPLIT.trec with a header; return the files."""
    written = []
    for result in results:
        check_part(result.run)
        path = folder / f"{result.dataset}.{result.split}.trec"
        header = "".join(f"{line}\n" for line in [START, *_comments(_facts(result)), END])
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            stream.write(header.encode())
            stream.write(result.run.read_bytes())
        written.append(path)
    return written


def _facts(result: Result) -> dict[str, Any]:
    """Return the components of ir_metadata: platform, research goal, implementation, method and data."""
    record = result_record(result.path)
    environment = record["environment"]
    settings = {name: _nameless(value) if name == "model" else value for name, value in result.settings.items()}
    hardware, git = environment["hardware"], environment.get("git") or {}
    return {
        "platform": {
            "hardware": {"cpu": {"model": hardware["processor"], "number of cores": hardware["cores"]}},
            "operating system": {"kernel": environment["platform"]},
            "software": {"libraries": {"python": [f"{n}=={v}" for n, v in environment["packages"].items()]}},
        },
        "research goal": {"evaluation": {"reported measures": dict(result.metrics)}},
        "implementation": {
            "executable": {"cmd": f"ragcun eval --model {_nameless(result.model)}"},
            "source": {"commit": git.get("commit")},
        },
        "method": {"automatic": True, "retrieval": [{"name": result.label, "parameters": settings}]},
        "data": {
            "test collection": {
                "name": result.dataset,
                "split": result.split,
                "documents": result.documents,
                "topics": result.queries,
                "fingerprint": record["inputs"]["data"],
            }
        },
    }


def _nameless(model: str) -> str:
    """Return a model's name without the folders of this machine."""
    return Path(model).name if Path(model).is_absolute() else model


def _comments(facts: Mapping[str, Any]) -> list[str]:
    """Return a line of YAML, a superset of JSON, for each component, with its contents as JSON."""
    return [f"# {name}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}" for name, value in facts.items()]
