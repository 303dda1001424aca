"""The messages of docs/failures.md are messages of the code."""

import ast
import re
from pathlib import Path

import ragcun

DOCS = Path(__file__).parents[1] / "docs"
LEAST = 12  # characters of words that a message of the code must have to count as one


def patterns() -> list[re.Pattern[str]]:
    """Every text of the code, with anything in the places of its values."""
    found = set()
    for path in Path(ragcun.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts = re.split(r"(?=\{\w+\})|(?<=\})", node.value)
                texts = [None if re.fullmatch(r"\{\w+\}", text) else text for text in texts]
            else:
                continue
            if len(re.sub(r"\W", "", "".join(text or "" for text in texts))) >= LEAST:
                found.add("".join(".*" if text is None else re.escape(text) for text in texts))
    return [re.compile(one, re.DOTALL) for one in found]


def is_known(message: str, known: list[re.Pattern[str]]) -> bool:
    """Whether the code has the message, or what it says behind the name of a place or the words of the system."""
    message = re.sub(r" \(see `ragcun .*`\)$", "", message)
    ends = [message, *(message[found.end() :] for found in re.finditer(r": |; |' ", message))]
    return any(one.fullmatch(end) for one in known for end in ends)


def test_every_documented_message_is_one_of_the_code() -> None:
    blocks = re.findall(r"^```text\n(.*?)^```$", (DOCS / "failures.md").read_text(encoding="utf-8"), re.M | re.S)
    messages = [line.removeprefix("error: ") for block in blocks for line in block.splitlines()]
    known = patterns()
    assert len(messages) > 30
    assert not is_known("results: the moon is too far away; wait until it comes nearer", known)
    assert not [message for message in messages if not is_known(message, known)]
