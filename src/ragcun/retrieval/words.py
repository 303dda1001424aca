"""Tokenisation of texts into words, as in Lucene's analysers.

English uses Lucene's EnglishAnalyzer: StandardTokenizer, removal of the possessive 's, lower case, 33 stop words, and
Porter's stemmer. Other languages use Snowball's stemmer and, if available, bm25s' stop words.
"""

import re
import string
from collections.abc import Callable

import regex
import Stemmer
from bm25s import stopwords

from ragcun.retrieval import porter

LONGEST = 255  # characters of a word; a longer word is split, as in Lucene
ENGLISH = "english"
LANGUAGES = tuple(sorted(name for name in Stemmer.algorithms() if "porter" not in name))

_STOP_WORDS: dict[str, tuple[str, ...]] = {
    name.removeprefix("STOPWORDS_").lower(): words for name, words in vars(stopwords).items() if name.startswith("STOP")
} | {ENGLISH: stopwords.STOPWORDS_EN}

Analyse = Callable[[str], str | None]


def analyser(language: str) -> Analyse:
    """Make the function that turns a word into a term, or None for a stop word; `language` is one of `LANGUAGES`."""
    stop_words = frozenset(_STOP_WORDS.get(language, ()))
    stem = porter.stem if language == ENGLISH else Stemmer.Stemmer(language).stemWord

    def analyse(word: str) -> str | None:
        if language == ENGLISH and word.endswith(("'s", "'S", "’s", "’S", "＇s", "＇S")):
            word = word[:-2]
        # Java lowers each letter separately, without a final sigma, and one letter stays one.
        word = word.lower() if word.isascii() else "".join(letter.lower()[0] for letter in word)
        return None if word in stop_words else stem(word)

    return analyse


def stop_words_of(language: str) -> str:
    """Describe the stop words of a language, for settings."""
    if language == ENGLISH:
        return "Lucene's 33"
    return f"bm25s' {language}" if language in _STOP_WORDS else "no"


def tokenize(text: str) -> list[str]:
    """Split a text into words by Unicode's word boundaries (UAX 29), as Lucene's StandardTokenizer does.

    Combining marks stay with their letter. Each Han and Hiragana character and each emoji is a word. Runs of Katakana,
    and of scripts without spaces such as Thai, are one word. A word contains a letter, digit or emoji.
    """
    pattern = _ASCII if text.isascii() else _UNICODE  # ASCII has few rules, for which `re` is faster
    return pattern.findall(text)


def pieces(text: str) -> list[bytes]:
    """Split a text in UTF-8 at ASCII characters that cannot be in a word, so that the pieces have the text's words.

    This is several times as fast as `tokenize`, and most pieces of a corpus are repeated, so that they can be cached.
    """
    return text.encode("utf-8", "replace").translate(_BLANKED).split()


def _words(letters: str, digits: str, between_letters: str, between_digits: str, joining: str, apart: str = "") -> str:
    """Make a pattern of the rules WB5 to WB13b: runs of letters and digits, joined by underscores and the like.

    Characters in `apart` form separate runs.
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
    """Make a pattern of the emoji sequences of UTS 51, without digits, signs such as © and single letters of flags."""
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
