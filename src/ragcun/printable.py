r"""Safe output of foreign text, such as ids, titles and names of files, in terminals, tables and JSON files."""

import json
import re
from typing import Any

_MARKUP = re.compile(r"[\\`*_\[\]<>|~&]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def one_line(text: str) -> str:
    r"""Return text on one line: white space as single spaces, and control characters as codes such as \x1b.

    Codes also replace the marks that change the direction of writing, and the bytes of names that are not UTF-8.
    """
    return _UNPRINTABLE.sub(lambda found: _code(found[0]), " ".join(text.split()))


def markdown(text: str) -> str:
    """Return text as one line of Markdown or of a table in it, in which no character is markup."""
    return _MARKUP.sub(r"\\\g<0>", one_line(text))


def json_text(value: Any) -> str:
    r"""Return indented JSON in which such characters are escaped, as in \u001b, so that they can be read back.

    Raises `ValueError` for NaN and infinity, which are not JSON.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _code(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8, in the form of os.fsdecode
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
