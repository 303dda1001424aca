"""The cost of embeddings from an API, which is estimated, confirmed and limited. Imports nothing heavy."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ragcun.console import console, say
from ragcun.errors import RagcunError, UserError

OPENAI = "https://api.openai.com/v1"
# US dollars per million tokens, from OpenAI's list of May 2026 (as embeddingcost.com/openai quotes it)
PRICES = {
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
    "text-embedding-ada-002": 0.10,
}
PRICES_FROM = "OpenAI's list price of May 2026"
SAMPLE = 1_000


@dataclass(frozen=True)
class Estimate:
    """An estimate of the number of tokens of texts; `how` describes the method."""

    texts: int
    tokens: int
    how: str


def estimate_tokens(characters: int, texts: int, sample: Sequence[str]) -> Estimate:
    """Estimate the number of tokens of texts from their numbers and a `sample`.

    Tokens are counted on the sample by tiktoken (cl100k_base) if it is installed and has its vocabulary. Otherwise a
    token is assumed to have four characters, OpenAI's rule of thumb for English.
    """
    length = sum(map(len, sample))
    try:
        import tiktoken

        counted = sum(map(len, tiktoken.get_encoding("cl100k_base").encode_batch(list(sample), disallowed_special=())))
    except Exception:  # tiktoken is not installed, or its vocabulary cannot be fetched
        return Estimate(texts, round(characters / 4), "4 characters per token")
    return Estimate(texts, round(characters * counted / max(1, length)), f"counted on {len(sample):,} of them")


class Budget:
    """The budget of a command, over all models and collections.

    Args:
        cap: the maximum cost in US dollars; None is no maximum.
        agreed: whether to spend without confirmation.
    """

    def __init__(self, cap: float | None = None, agreed: bool = False) -> None:
        self.spent = 0.0
        self._cap = cap
        self._agreed = agreed

    def agree(self, model: str, estimate: Estimate, price: float | None) -> None:
        """Print the estimated cost, and return when it is confirmed.

        Args:
            model: the name of the model.
            estimate: the estimated number of tokens.
            price: the price in US dollars per million tokens; None if it is unknown.

        Raises:
            UserError: the cost exceeds the cap or is not confirmed. Nothing has been spent.
        """
        cost = None if price is None else estimate.tokens * price / 1e6
        amount = (
            "at an unknown price"
            if cost is None
            else f"about ${cost:,.4f} (${price:g} per million tokens, {PRICES_FROM})"
        )
        say(f"{model}: {estimate.texts:,} texts to embed, about {estimate.tokens:,} tokens ({estimate.how}), {amount}")
        if self._cap is not None:
            if cost is None:
                raise UserError(f"{model}: its price is unknown, so --max-cost cannot be enforced; use --yes instead")
            if self.spent + cost > self._cap:
                raise UserError(
                    f"{model}: about ${cost:,.4f} after ${self.spent:,.4f} exceeds --max-cost {self._cap}; "
                    "nothing was spent"
                )
        elif not self._agreed:
            if not (sys.stdin.isatty() and console.is_terminal):
                way = "--yes" if cost is None else "--yes, or set a limit with --max-cost USD"
                raise UserError(f"{model}: {amount}; confirm with {way}")
            if console.input("continue? \\[y/N] ").strip().lower() not in {"y", "yes"}:
                raise UserError(f"{model}: not confirmed; nothing was spent")

    def pay(self, tokens: int, price: float | None) -> None:
        """Add the cost of tokens that the API counted."""
        self.spent += tokens * (price or 0.0) / 1e6

    def check(self) -> None:
        """Raise a `RagcunError` if the maximum was reached because the estimate was too low."""
        if self._cap is not None and self.spent >= self._cap:
            raise RagcunError(
                f"stopped at ${self.spent:,.4f} of --max-cost {self._cap}: there are more tokens than estimated. "
                "Paid embeddings are kept; run the same command with a higher limit to continue"
            )
