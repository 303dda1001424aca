"""Options of all commands that may ask an embeddings API."""

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from ragcun.embedding.budget import Budget

_PANEL = "Embeddings APIs"

OpenAIBaseUrl = Annotated[
    str | None,
    typer.Option(
        "--openai-base-url",
        help="Endpoint that speaks OpenAI's protocol, up to /embeddings. (default: https://api.openai.com/v1)",
        rich_help_panel=_PANEL,
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", min=0, help="US dollars that this command may spend.", rich_help_panel=_PANEL),
]
Yes = Annotated[bool, typer.Option("--yes", help="Spend without asking.", rich_help_panel=_PANEL)]


class Api(TypedDict):
    """The part of an `RetrieverOptions` that these options determine."""

    api_url: str
    budget: "Budget"


def api(base_url: str | None, max_cost: float | None, yes: bool) -> Api:
    """What the options say."""
    from ragcun.embedding.budget import OPENAI, Budget

    return {"api_url": OPENAI if base_url is None else base_url, "budget": Budget(max_cost, yes)}
