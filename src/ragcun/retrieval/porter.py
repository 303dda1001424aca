"""Porter's stemmer as in Lucene.

M. F. Porter, An algorithm for suffix stripping (Program 14, 1980), with the author's three later departures, which
Snowball's "porter" lacks: words of one or two letters stay, -bli becomes -ble, and -logi becomes -log.
"""

# For the last letter but one of a suffix: the suffixes, and the suffixes with their replacements.
Rules = dict[str, tuple[tuple[str, ...], list[tuple[str, str]]]]


def _rules(listed: str) -> Rules:
    """Parse suffixes and their replacements, in the order in which they are tried."""
    rules: dict[str, list[tuple[str, str]]] = {}
    for rule in listed.split():
        suffix, _, replacement = rule.partition(":")
        rules.setdefault(suffix[-2], []).append((suffix, replacement))
    return {letter: (tuple(suffix for suffix, _ in ones), ones) for letter, ones in rules.items()}


# Only the first suffix that ends the word is replaced.
_STEP_2 = _rules(
    """ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e ousli:ous ization:ize
    ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al iviti:ive biliti:ble logi:log"""
)
_STEP_3 = _rules("icate:ic ative: alize:al iciti:ic ical:ic ful: ness:")
_STEP_4 = _rules(
    """al: ance: ence: er: ic: able: ible: ant: ement: ment: ent: ion: ou: ism: ate: iti: ous: ive: ize:"""
)


def stem(word: str) -> str:
    """Return the stem of a word in lower case."""
    if len(word) < 3:
        return word
    word = _without_participle(_without_plural(word))
    if word.endswith("y") and "v" in _kinds(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(word, _STEP_2, 1)
    word = _replaced(word, _STEP_3, 1)
    word = _replaced(word, _STEP_4, 2)
    if not word.endswith(("e", "ll")):
        return word
    measure = _measure(word)
    if word.endswith("e") and (measure > 1 or (measure == 1 and not _ends_short(word[:-1]))):
        word = word[:-1]
    if word.endswith("ll") and measure > 1:
        word = word[:-1]
    return word


def _without_plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_participle(word: str) -> str:
    if not word.endswith(("ed", "ing")):
        return word
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    kept = word[:-2] if word.endswith("ed") else word[:-3]
    if "v" not in _kinds(kept):
        return word
    word = kept
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if word[-1:] == word[-2:-1] and _kinds(word)[-1] == "c":
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _ends_short(word) else word


def _replaced(word: str, rules: Rules, least: int) -> str:
    """Replace the word's suffix if the stem has at least the measure `least`; -ion only after s or t."""
    suffixes, replacements = rules.get(word[-2:-1], ((), []))
    if not word.endswith(suffixes):
        return word
    for suffix, replacement in replacements:
        if word.endswith(suffix):
            kept = word[: -len(suffix)]
            applies = _measure(kept) >= least and (suffix != "ion" or kept.endswith(("s", "t")))
            return kept + replacement if applies else word
    return word


def _measure(word: str) -> int:
    """Return the number of times that a consonant follows a vowel: m in [C](VC){m}[V]."""
    return _kinds(word).count("vc")


def _ends_short(word: str) -> bool:
    """Return whether the word ends in consonant, vowel, consonant, where the last is not w, x or y."""
    return _kinds(word)[-3:] == "cvc" and word[-1] not in "wxy"


def _kinds(word: str) -> str:
    """Return "v" for each vowel and "c" for each consonant; y is a vowel after a consonant."""
    kinds = word.translate(_KINDS)
    while (at := kinds.find("y")) >= 0:
        kinds = kinds[:at] + ("v" if at and kinds[at - 1] == "c" else "c") + kinds[at + 1 :]
    return kinds


class _Kinds(dict[int, str]):
    def __missing__(self, letter: int) -> str:
        return self.setdefault(letter, "c")


_KINDS = _Kinds({ord(letter): "v" for letter in "aeiou"} | {ord("y"): "y"})
