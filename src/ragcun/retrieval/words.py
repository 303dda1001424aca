"""Texts as words, as Lucene's analysers have them.

English is Lucene's EnglishAnalyzer: StandardTokenizer, the possessive 's cut off, lower case, 33 stop words, Porter's
stemmer. Another language has Snowball's stemmer and bm25s' stop words, where it has some.
"""

import re
import string
from collections.abc import Callable

import regex
import Stemmer
from bm25s import stopwords

from ragcun.retrieval import porter

LONGEST = 255  # characters of a word; a longer one is cut, as Lucene cuts it
ENGLISH = "english"
LANGUAGES = tuple(sorted(name for name in Stemmer.algorithms() if "porter" not in name))

_STOP_WORDS: dict[str, tuple[str, ...]] = {
    name.removeprefix("STOPWORDS_").lower(): words for name, words in vars(stopwords).items() if name.startswith("STOP")
} | {ENGLISH: stopwords.STOPWORDS_EN}

Analyse = Callable[[str], str | None]


def analyser(language: str) -> Analyse:
    """What makes a word of `tokenize` the term that is indexed, or None of a stop word; `language` of `LANGUAGES`."""
    stop_words = frozenset(_STOP_WORDS.get(language, ()))
    stem = porter.stem if language == ENGLISH else Stemmer.Stemmer(language).stemWord

    def analyse(word: str) -> str | None:
        if language == ENGLISH and word.endswith(("'s", "'S", "’s", "’S", "＇s", "＇S")):
            word = word[:-2]
        # Letter by letter, as Java does it: no final sigma, and one letter stays one.
        word = word.lower() if word.isascii() else "".join(letter.lower()[0] for letter in word)
        return None if word in stop_words else stem(word)

    return analyse


def stop_words_of(language: str) -> str:
    """Which stop words a language has, as it stands in settings."""
    if language == ENGLISH:
        return "Lucene's 33"
    return f"bm25s' {language}" if language in _STOP_WORDS else "no"


def tokenize(text: str) -> list[str]:
    """The words of a text, as Lucene's StandardTokenizer cuts them: by Unicode's word boundaries (UAX 29).

    Combining marks stay with their letter; each Han and Hiragana character and each emoji is a word of its own; runs
    of Katakana, and of scripts without spaces such as Thai, are one. What has no letter, digit or emoji is no word.
    """
    pattern = _ASCII if text.isascii() else _UNICODE  # of ASCII the rules are few, and `re` is faster
    return pattern.findall(text)


def pieces(text: str) -> list[bytes]:
    """A text in UTF-8, cut at the ASCII characters that stand in no word: the pieces' words are the text's.

    It is several times as fast as `tokenize`, and most pieces of a corpus are ones that it had before.
    """
    return text.encode("utf-8", "replace").translate(_BLANKED).split()


def _words(letters: str, digits: str, between_letters: str, between_digits: str, joining: str, apart: str = "") -> str:
    """The rules WB5 to WB13b as a pattern: runs of letters and digits, which underscores and their like join.

    What is `apart` makes runs of its own.
    """
    run = f"(?:{letters}(?:{between_letters}{letters})*|{digits}(?:{between_digits}{digits})*)+"
    if apart:
        run = f"(?:{run}|{apart})"
    return f"(?:{joining})*{run}(?:(?:{joining})+{run})*(?:{joining})*"


def _unicode_words() -> str:
    extend = r"[\p{WB=Format}\p{WB=Extend}\p{WB=ZWJ}]"
    letter, hebrew = r"\p{WB=ALetter}", rf"\p{{WB=Hebrew_Letter}}{extend}*"
    digit = r"[\p{WB=Numeric}\uFF10-\uFF19]"
    letters = rf"(?:{letter}(?:{letter}|{extend})*|{hebrew}(?:\"{extend}*{hebrew}|'{extend}*)?)"
    return _words(
        letters,
        rf"{digit}(?:{digit}|{extend})*",
        rf"[\p{{WB=MidLetter}}\p{{WB=MidNumLet}}'\:]{extend}*",
        rf"[\p{{WB=MidNum}}\p{{WB=MidNumLet}}']{extend}*",
        rf"[\p{{WB=ExtendNumLet}}--\u202F]{extend}*",
        apart=rf"(?:\p{{WB=Katakana}}{extend}*)+",
    )


def _emoji() -> str:
    """Emoji sequences of UTS 51; digits, signs such as © and flags' letters alone are none."""
    extend = r"[[\p{WB=Format}\p{WB=Extend}\p{WB=ZWJ}]--[\uFE0E\uFE0F\u200D\p{Emoji_Modifier}]]*"
    picture = (
        r"[[\p{Extended_Pictographic}\p{Emoji}]--[\p{WB=Regional_Indicator}\p{Emoji_Modifier}0-9#*©®™\u3030\u303D]]"
    )
    one = rf"(?:{picture}{extend}(?:\uFE0F|\p{{Emoji_Modifier}}{extend})?|\p{{Emoji_Modifier}}{extend})"
    tags = r"[\U000E0020-\U000E007E]+\U000E007F"
    flag = rf"(?:\p{{WB=Regional_Indicator}}{extend}){{2}}"
    return rf"\u200D*{one}(?:{tags}|(?:\u200D{one})*)|{flag}|[#*]{extend}\uFE0F?\u20E3"


_IN_WORDS = f"{string.ascii_letters}{string.digits}._:,;'\"#*".encode()
_BLANKED = bytes(byte if byte > 0x7F or byte in _IN_WORDS else ord(" ") for byte in range(256))
_ASCII = re.compile(_words("[A-Za-z]+", "[0-9]+", "[.:']", "[.,;']", "_"))
_UNICODE = regex.compile(
    rf"{_unicode_words()}|{_emoji()}|[\p{{LB=SA}}]+|[\p{{Script=Han}}\p{{Script=Hiragana}}]"
    r"[\p{WB=Format}\p{WB=Extend}\p{WB=ZWJ}]*",
    regex.V1,
)
