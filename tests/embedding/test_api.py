"""An API's embeddings: each text paid for once, in requests that the API takes, and the key told to nobody."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from api_server import EmbeddingsServer, Failure

from children import Child
from ragcun.embedding import api, budget, store
from ragcun.embedding.api import ApiEmbedder
from ragcun.embedding.budget import Budget, Estimate, estimate_tokens
from ragcun.embedding.openai import Connection, EmbeddingsEndpoint, checked_url
from ragcun.embedding.recipe import Recipe
from ragcun.errors import RagcunError, UserError

SECRET = "sk-proj-not-to-be-seen"  # noqa: S105


def spell(texts: list[str]) -> Sequence[Sequence[float]]:
    """Vectors that tell the texts apart."""
    return [[float(len(text)), float(sum(text.encode())), 1.0] for text in texts]


def error(status: int, message: str = "not now", code: str | None = None, **headers: str) -> Failure:
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        {"error": {"message": message, "code": code}},
    )


def embedder(server: EmbeddingsServer, store: Path, **settings: Any) -> ApiEmbedder:
    budget = settings.pop("budget", Budget(agreed=True))
    endpoint = EmbeddingsEndpoint(server.url, "m", settings.get("dimensions"))
    return ApiEmbedder(endpoint, "m", settings.pop("dimensions", None), store, budget, **{"price": None} | settings)


def connect(server: EmbeddingsServer, told: list[str] | None = None) -> AbstractContextManager[Connection]:
    """A connection that is told to try again each time, and notes why."""
    reasons = [] if told is None else told

    def try_again(reason: str) -> bool:
        reasons.append(reason)
        return True

    return EmbeddingsEndpoint(server.url, "m").connect(try_again)


def no_key_behind(failure: BaseException) -> bool:
    """Whether no exception of the client, which holds the request and so the key, is linked to a failure."""
    return failure.__cause__ is None and failure.__context__ is None


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "INPUTS", 3)
    monkeypatch.setattr(api, "_REFRESH", 2)


def test_texts_come_back_in_order_and_are_asked_for_once(tmp_path: Path, small_requests: None) -> None:
    texts = [f"text {number} {'x' * number}" for number in range(20)] + ["", "text 3 xxx"]
    with EmbeddingsServer(spell).serve() as server:
        found = embedder(server, tmp_path).documents(texts)
        sent = [text or " " for text in texts]
        assert np.array_equal(found.block(0, len(texts)), np.float32(spell(sent)))
        assert server.asked == dict.fromkeys(sent, 1)
        assert max(len(request["input"]) for request in server.requests) == 3
        assert server.keys == {f"Bearer {SECRET}"}
        asked = len(server.requests)
        assert np.array_equal(embedder(server, tmp_path).documents(texts[:5]).rows(np.array([4])), spell(texts[4:5]))
        assert len(server.requests) == asked
        embedder(server, tmp_path, dimensions=3).documents(texts[:1])
        assert server.requests[-1]["dimensions"] == 3
        with pytest.raises(RagcunError, match="returned 3 dimensions instead of 2"):
            embedder(server, tmp_path, dimensions=2).documents(texts[:1])
        assert SECRET not in "".join(path.read_text("utf-8") for path in tmp_path.rglob("key.json"))


def test_queries_stay_what_they_are_while_documents_are_bought(
    tmp_path: Path, small_requests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_REQUESTS", 1)
    monkeypatch.setattr(store, "_MANY_SHARDS", 3)
    monkeypatch.setattr(store, "_SMALL_SHARD", 3_000)  # of two requests, but not of what is merged of three
    queries, documents = ([f"{kind} {number}" for number in range(60)] for kind in ("query", "document"))
    with EmbeddingsServer(lambda texts: [[*row] * 50 for row in spell(texts)]).serve() as server:
        buying = embedder(server, tmp_path)
        bought = buying.queries(queries)
        before = bought.block(0, 60)
        buying.documents(documents)
    assert np.array_equal(before[:, :3], np.float32(spell(queries)))
    assert np.array_equal(bought.block(0, 60), before)


def test_prompts_and_length_are_part_of_what_is_sent(tmp_path: Path) -> None:
    recipe = Recipe(query="query: ", document="")
    with EmbeddingsServer(spell).serve() as server:
        embedder(server, tmp_path, recipe=recipe, max_length=2).queries(["long enough to be cut"])
        assert list(server.asked) == ["query: long eno"]
        embedder(server, tmp_path, recipe=recipe, max_length=2).queries(["long enough to be cut otherwise"])
        assert list(server.asked.values()) == [1]


def test_requests_stay_within_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TOKENS", 100)
    texts = [letter * 30 for letter in "abcdefgh"] + ["é" * 40, "z" * 150]
    with EmbeddingsServer(spell).serve() as server:
        embedder(server, tmp_path).documents(texts)
        assert sorted(len("".join(request["input"]).encode()) for request in server.requests) == [60, 80, 90, 90, 150]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client pauses, in seconds; it does not in fact."""
    seconds: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", seconds.append)
    return seconds


def test_transient_failures_are_waited_for(pauses: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    failures = [
        error(429, Retry_After="7"),
        error(500),
        error(503, retry_after_ms="250"),
        error(429, Retry_After=soon),
        error(502, Retry_After="nonsense"),
    ]
    told: list[str] = []
    with EmbeddingsServer(spell, failures).serve() as server, connect(server, told) as connection:
        answer = connection.embed(["a", "bb"])
    assert answer.vectors[:, 0].tolist() == [1, 2]
    assert answer.tokens == 2
    seconds = [pause for pause in pauses if pause > 0]  # the server pauses, too, for no time
    assert len(seconds) == 5
    assert (seconds[0], seconds[2]) == (7, 0.25)
    assert 0.5 <= seconds[1] <= 1
    assert 25 < seconds[3] <= 30
    assert 4 <= seconds[4] <= 8
    assert told == ["429 not now", "500 not now", "503 not now", "429 not now", "502 not now"]


def test_what_does_not_pass_is_told_after_eight_attempts(pauses: list[float]) -> None:
    with (
        EmbeddingsServer(spell, [error(500)] * 8).serve() as server,
        connect(server) as connection,
        pytest.raises(RagcunError, match=r"500 not now, 8 times") as caught,
    ):
        connection.embed(["a"])
    assert no_key_behind(caught.value)
    away = EmbeddingsEndpoint("http://127.0.0.1:9/v1", "m")
    with (
        away.connect(lambda _: True) as connection,
        pytest.raises(RagcunError, match=r"no answer \(ConnectError\), 8 times") as caught,
    ):
        connection.embed(["a"])
    assert no_key_behind(caught.value)


def test_nothing_is_tried_again_where_another_request_has_failed(pauses: list[float]) -> None:
    with EmbeddingsServer(spell, [error(500)]).serve() as server:
        endpoint = EmbeddingsEndpoint(server.url, "m")
        with endpoint.connect(lambda _: False) as connection, pytest.raises(RagcunError, match="500 not now, once"):
            connection.embed(["a"])
        assert len(server.requests) == 1


def test_a_missing_client_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with EmbeddingsServer(spell).serve() as server:
        keyless = embedder(server, tmp_path)
        for use in (lambda: keyless.agree([], ["a"]), lambda: keyless.documents(["a"])):
            with pytest.raises(UserError, match=r"pip install 'ragcun\[openai\]'"):
                use()
        assert server.requests == []


@pytest.mark.parametrize(
    ("failure", "kind", "said"),
    [
        (error(401, f"Incorrect API key provided: {SECRET}"), UserError, "OPENAI_API_KEY is refused"),
        (error(429, "You exceeded your quota", "insufficient_quota"), RagcunError, "429 You exceeded your quota"),
        (error(400, "maximum context length is 8192 tokens"), UserError, "--max-length"),
        (error(404, "The model `m` does not exist"), UserError, "The model `m` does not exist"),
        ((200, {}, {"data": [{"index": 0, "embedding": [1.0]}]}), RagcunError, "does not contain 2 embeddings"),
        (
            (200, {}, {"data": [{"index": n, "embedding": [1.0] * n} for n in (0, 1)]}),
            RagcunError,
            "does not contain 2",
        ),
        ((200, {}, {"hello": "world"}), RagcunError, "check that this is an embeddings model"),
    ],
)
def test_refusals_are_one_line_without_the_key(failure: Failure, kind: type[RagcunError], said: str) -> None:
    with EmbeddingsServer(spell, [failure]).serve() as server, connect(server) as connection:
        with pytest.raises(RagcunError) as caught:
            connection.embed(["a", "b"])
        assert len(server.requests) == 1
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert no_key_behind(caught.value)


@pytest.mark.parametrize("before", range(170, 310, 7))
def test_a_key_that_stands_where_an_answer_is_cut_is_not_shown(before: int) -> None:
    echo = "-" * before + f" Authorization: Bearer {SECRET} is not what was wanted" + "." * 400
    plain = httpx2.Response(400, text=echo)
    structured = httpx2.Response(400, json={"error": {"message": echo}})
    endpoint = EmbeddingsEndpoint("http://127.0.0.1:9/v1", "m")
    for response in (plain, structured):
        said, _ = endpoint.said(response)
        assert said.startswith("400 ---")
        assert not any(SECRET[:length] in said for length in range(4, len(SECRET)))


def test_no_key_and_no_url_goes_where_it_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_url("https://host/v1/") == "https://host/v1"
    for url in ("host/v1", "ftp://host", f"https://{SECRET}@host/v1", f"https://host/v1?api-key={SECRET}"):
        with pytest.raises(UserError) as caught:
            checked_url(url)
        assert SECRET not in str(caught.value)
    for key in (f"{SECRET}\nX-Other: 1", "sk-é"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(UserError, match="not allowed in a key"):
            EmbeddingsEndpoint("https://host/v1", "m")


def test_what_was_under_way_when_another_request_failed_is_kept(tmp_path: Path, small_requests: None) -> None:
    texts = [f"text {number}" for number in range(12)]
    with EmbeddingsServer(spell, [error(401)]).serve() as server:
        with pytest.raises(UserError):
            embedder(server, tmp_path).documents(texts)
        assert 0 < len(server.asked) < len(texts)
        embedder(server, tmp_path).documents(texts)
        assert server.asked == dict.fromkeys(texts, 1)


def test_two_at_once_pay_once(tmp_path: Path, small_requests: None) -> None:
    texts = [f"text {number}" for number in range(30)]
    with EmbeddingsServer(spell, seconds=0.01).serve() as server, ThreadPoolExecutor(2) as pool:
        both = [embedder(server, tmp_path) for _ in range(2)]
        found = list(pool.map(lambda one: one.documents(texts).block(0, 30), both))
        assert server.asked == dict.fromkeys(texts, 1)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], np.float32(spell(texts)))


KILLED = """
import sys
from pathlib import Path
from ragcun.embedding import api
from ragcun.embedding.openai import EmbeddingsEndpoint
from ragcun.embedding.budget import Budget
api.INPUTS = 1
url, store, count = sys.argv[1:]
embedder = api.ApiEmbedder(EmbeddingsEndpoint(url, "m"), "m", None, Path(store), Budget(agreed=True), None)
embedder.documents([f"text {number}" for number in range(int(count))])
"""


def test_killed_it_pays_again_for_no_more_than_what_was_under_way(tmp_path: Path) -> None:
    with EmbeddingsServer(spell, seconds=0.01).serve() as server:
        process = Child("-c", KILLED, server.url, tmp_path, "400")
        deadline = time.monotonic() + 60
        while len(server.asked) < 40 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert 40 <= len(server.asked) < 400
        embedder(server, tmp_path).documents([f"text {number}" for number in range(400)])
        assert len(server.asked) == 400
        assert sum(server.asked.values()) <= 400 + 2 * api._REQUESTS


def test_the_budget_caps_what_is_estimated_and_what_is_spent(
    tmp_path: Path, small_requests: None, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"a text of six words {number}" for number in range(30)]
    with EmbeddingsServer(spell).serve() as server:
        asking = embedder(server, tmp_path, price=1_000.0, budget=Budget(cap=0.01))
        with pytest.raises(UserError, match=r"exceeds --max-cost 0.01; nothing was spent"):
            asking.agree(["q"], texts)
        assert not server.requests
        assert "31 texts to embed, about 163 tokens (4 characters per token), about $0.1630" in _told(capsys)
        asking = embedder(server, tmp_path, price=1_000.0, budget=Budget(cap=0.05))
        with pytest.raises(RagcunError, match=r"stopped at \$0\.0\d+ of --max-cost 0\.05: there are more tokens"):
            asking.documents(texts)
        assert 0 < len(server.asked) < len(texts)
        asking = embedder(server, tmp_path, price=1_000.0, budget=Budget(cap=1.0))
        asking.agree([], texts)
        asking.documents(texts)
        assert server.asked == dict.fromkeys(texts, 1)
        told = len(_told(capsys))
        asking.agree([], texts)
        assert told
        assert not _told(capsys)


def _told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_a_key_is_needed_only_where_something_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddingsServer(spell).serve() as server:
        embedder(server, tmp_path).documents(["a"])
        monkeypatch.delenv("OPENAI_API_KEY")
        keyless = embedder(server, tmp_path, price=1.0)
        keyless.agree([], ["a"])
        with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
            keyless.agree([], ["a", "b"])
        embedder(server, tmp_path).documents(["b"])
        assert "" in server.keys


def test_who_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = Estimate(10, 1_000, "guessed")
    Budget(agreed=True).agree("m", estimate, None)
    with pytest.raises(UserError, match="--yes, or set a limit with --max-cost"):
        Budget().agree("m", estimate, 0.02)
    with pytest.raises(UserError, match="price is unknown"):
        Budget(cap=1.0, agreed=True).agree("m", estimate, None)
    monkeypatch.setattr(budget.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(budget.console, "_force_terminal", True)
    answers = iter(["y", "YES ", "", "no"])
    monkeypatch.setattr(budget.console, "input", lambda _: next(answers))
    Budget().agree("m", estimate, 0.02)
    Budget().agree("m", estimate, None)
    for _ in range(2):
        with pytest.raises(UserError, match="nothing was spent"):
            Budget().agree("m", estimate, 0.02)


def test_tokens_are_counted_where_tiktoken_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class Words:
        @staticmethod
        def encode_batch(texts: list[str], disallowed_special: tuple[str, ...]) -> list[list[str]]:
            return [text.split() for text in texts]

    class Tiktoken:
        @staticmethod
        def get_encoding(name: str) -> type[Words]:
            return Words

    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert estimate_tokens(4_000, 5, ["four four"]) == Estimate(5, 1_000, "4 characters per token")
    monkeypatch.setitem(sys.modules, "tiktoken", Tiktoken)
    assert estimate_tokens(4_000, 5, ["four four"]).tokens == round(4_000 * 2 / 9)
