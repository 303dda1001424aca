"""Sentences, and queries taken from passages."""

import pytest

from ragcun.mining.passages import Passage
from ragcun.mining.queries import METHODS, Skip, first_sentence, inverse_cloze, title
from ragcun.mining.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two two! Is it three? Yes.", ["One.", "Two two!", "Is it three?", "Yes."]),
        ("Dr. J. Smith paid 3.5 dollars. He left.", ["Dr. J. Smith paid 3.5 dollars.", "He left."]),
        ('He said "Stop." Then he ran.', ['He said "Stop."', "Then he ran."]),
        ("See e.g. Fig. 3 of it. It is e.g. blue.", ["See e.g. Fig. 3 of it.", "It is e.g. blue."]),
        ("no end", ["no end"]),
        ("  spaces \n and lines.\n\nNext one.", ["spaces and lines.", "Next one."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
    assert " ".join(expected) == " ".join(text.split())


TEXT = "The owl hunts by night. It sees in the dark very well. Its prey are mice and other small animals of the wood."


def test_the_first_sentence_is_taken_out_of_its_document() -> None:
    query, document = first_sentence(Passage("Owl", TEXT), 0)
    assert query == "The owl hunts by night."
    assert query not in document
    assert f"{query} {document}" == TEXT


def test_a_title_that_the_text_repeats_is_taken_out() -> None:
    query, document = title(Passage("The owl", TEXT), 0)
    assert (query, document) == ("The owl", TEXT.removeprefix("The owl "))
    with pytest.raises(Skip, match="no title"):
        title(Passage("", TEXT), 0)


def test_inverse_cloze_leaves_the_sentence_in_one_of_ten() -> None:
    found = [inverse_cloze(Passage("", f"Number {i} is here. {TEXT}"), 0) for i in range(400)]
    kept = sum(query in document for query, document in found)
    assert 20 < kept < 65
    assert len({sentences(TEXT).index(query) if query in TEXT else -1 for query, _ in found}) == 4
    assert inverse_cloze(Passage("", TEXT), 0) == inverse_cloze(Passage("", TEXT), 0)


@pytest.mark.parametrize("method", ["first-sentence", "inverse-cloze"])
def test_what_gives_no_pair_says_why(method: str) -> None:
    for text, reason in (("Just one sentence is here.", "one sentence"), ("Too. Few.", "short")):
        with pytest.raises(Skip, match=reason):
            METHODS[method](Passage("", text), 0)
