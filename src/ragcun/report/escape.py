r"""Escape any text as LaTeX that compiles with every engine and font encoding, also at the start of a table row."""

import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\`{}",
    '"': r"\textquotedblright{}",
    "[": "{[}",  # otherwise LaTeX reads it after \\ as an optional argument; the same holds for *
    "]": "{]}",
    "*": "{*}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\dots{}",
    "·": r"\ensuremath{\cdot}",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "→": r"\ensuremath{\rightarrow}",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "−": r"\ensuremath{-}",
    "²": r"\ensuremath{^2}",
    "∞": r"\ensuremath{\infty}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_GREEK = {letter: rf"\ensuremath{{\{name}}}" for letter, name in zip(_GREEK_LETTERS, _GREEK_NAMES.split(), strict=True)}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c", "`'^~=u.\"rHv", strict=True))
_ACCENTS |= {"\u0327": "c", "\u0323": "d"}
_TABLE = _SPECIAL | _GREEK


def escape(text: str) -> str:
    """Return `text` as ASCII LaTeX that prints it; a character that LaTeX's own fonts lack prints as U+ and its code.

    White space becomes one space. Latin letters with an accent, Greek letters and common signs are kept as such.
    """
    pieces: list[str] = []
    for character in " ".join(unicodedata.normalize("NFC", text).split()):
        if character in _TABLE:
            pieces.append(_TABLE[character])
        elif character.isascii() and character.isprintable():
            doubled = character in "-,'" and pieces and pieces[-1].endswith(character)
            pieces.append(
                f"{{}}{character}" if doubled else character
            )  # {} prevents ligatures: -- must not become a dash
        else:
            pieces.append(_accented(character))
    return "".join(pieces)


def _accented(character: str) -> str:
    base, *marks = list(unicodedata.normalize("NFKD", character))
    if base.isascii() and base.isalnum() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(character):04X}"
