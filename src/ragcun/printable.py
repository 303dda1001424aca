r"""Text as a terminal, a table or a JSON file may have it, whoever wrote it: ids, titles, names of files, manifests."""

import json
import re
from typing import Any

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def one_line(text: str) -> str:
    r"""Return text that moves no cursor and breaks no row: white space as single spaces, control characters as \x1b.

    Among these are the marks that turn the direction of writing, and the bytes of names that are not UTF-8.
    """
    return _UNPRINTABLE.sub(lambda found: _code(found[0]), " ".join(text.split()))


def json_text(value: Any) -> str:
    r"""Return indented JSON whose strings hold no such character: they are \u001b, and read back as they were.

    Raises `ValueError` for NaN and infinity, which are not JSON.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _code(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that was not UTF-8, as os.fsdecode keeps it
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
