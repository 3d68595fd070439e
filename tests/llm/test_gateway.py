"""The gateway against a real HTTP endpoint on loopback, through the real litellm."""

import asyncio
import contextlib
import gzip
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest

from tasks.config import GeneratorConfig
from tasks.errors import RunError, UserError
from tasks.generation.form import Form
from tasks.llm import loop
from tasks.llm.calls import Answer, Request
from tasks.llm.journal import Journal, open_journal
from tasks.llm.ledger import BudgetReachedError, Ledger
from tasks.llm.metered import MeteredCalls, spending_of
from tasks.llm.model_names import same_model
from tasks.waiting import Waits
from tests.endpoint import Reply, chat
from tests.provider import ROOT, provider

pytestmark = pytest.mark.usefixtures("warm")


@dataclass
class Attempts:
    """Notes what the gateway tells of attempts; a reservation may be refused."""

    told: list[str] = field(default_factory=list)
    most: int = 100

    async def reserve(self) -> None:
        if self.told.count("lost") >= self.most:
            raise BudgetReachedError("all is spent")
        self.told.append("reserve")

    def lost(self) -> None:
        self.told.append("lost")


def ask(
    url: str,
    model: str = "openai/served-model",
    attempts: Attempts | None = None,
    first_wait: float = 0.01,
    **fields: object,
):
    from tasks.llm import gateway

    generator = GeneratorConfig.model_validate({"model": model, "api_base": url, "timeout": 5, **fields})
    gateway.prepare(generator)
    messages = ({"role": "user", "content": "say hello"},)
    request = Request(messages, generator, max_tokens=33, seed=5, attempts=attempts or Attempts())
    return loop.run(gateway.complete(request, first_wait=first_wait))


def busy(**headers: str) -> Reply:
    return 429, headers, {"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limit"}}


def test_a_call_sends_what_was_asked_and_records_what_came_back(serve):
    endpoint = serve(chat("hi there"))
    done = ask(endpoint.url, temperature=0.3, params={"top_p": 0.9})
    body = endpoint.bodies[0]
    assert (body["model"], body["max_tokens"], body["seed"]) == ("served-model", 33, 5)
    assert (body["temperature"], body["top_p"]) == (0.3, 0.9)
    assert (done.answers, done.model) == ((Answer("hi there", "stop"),), "served-model")
    assert (done.tokens_in, done.tokens_out) == (11, 7)
    assert done.cost_usd is None


def test_a_known_model_has_a_price(serve):
    done = ask(serve(chat(model="gpt-4o-mini-2024-07-18")).url, model="openai/gpt-4o-mini")
    assert done.cost_usd == pytest.approx(11 * 1.5e-7 + 7 * 6e-7)


def test_a_busy_provider_is_asked_again_when_it_says(serve):
    endpoint = serve(busy(**{"Retry-After": "1.5"}), chat())  # unasked it would be a second
    assert ask(endpoint.url).answers == (Answer("hello", "stop"),)
    assert len(endpoint.times) == 2
    assert 1.45 < endpoint.times[1] - endpoint.times[0] < 3


def test_a_server_error_is_repeated_and_not_more_often_than_we_say(serve):
    from tasks.llm import gateway

    endpoint = serve((500, {}, {"error": {"message": "oops"}}))
    with pytest.raises(RunError, match=r"'openai/served-model' at http://127.*oops"):
        ask(endpoint.url)
    assert len(endpoint.bodies) == gateway.ATTEMPTS


def test_a_refused_key_is_not_repeated_and_never_shown(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
    endpoint = serve((401, {}, {"error": {"message": "bad key sk-planted-secret", "code": "invalid_api_key"}}))
    with pytest.raises(RunError, match="refuses the API key") as raised:
        ask(endpoint.url)
    assert len(endpoint.bodies) == 1 and "planted" not in str(raised.value)
    assert "none was sent" in str(raised.value) and "api_key_env" in str(raised.value)
    monkeypatch.setenv("SYNTHGAP_KEY_MINE", "sk-planted-secret")
    with pytest.raises(RunError, match=r"refuses the API key$"):
        ask(endpoint.url, api_key_env="SYNTHGAP_KEY_MINE")


def test_a_bad_request_is_not_repeated(serve):
    endpoint = serve((400, {}, {"error": {"message": "max_tokens is too large", "code": "bad"}}))
    with pytest.raises(RunError, match="max_tokens is too large"):
        ask(endpoint.url)
    assert len(endpoint.bodies) == 1


def test_a_content_filter_is_an_answer_without_text(serve):
    error = {
        "message": "filtered by content management policy",
        "code": "content_filter",
        "type": None,
        "param": "prompt",
    }
    done = ask(serve((400, {}, {"error": error})).url)
    assert done.answers == (Answer("", "content_filter"),)


def test_an_answer_without_choices_is_an_answer_without_text(serve):
    status, headers, body = chat()
    done = ask(serve((status, headers, {**body, "choices": []})).url)
    assert done.answers == (Answer("", "no_choice"),)


def test_nobody_there_is_one_clear_message():
    with pytest.raises(RunError, match=r"'openai/served-model' at http://127.0.0.1:9 cannot be reached"):
        ask("http://127.0.0.1:9")


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RunError, match="'openai/gpt-4o-mini' needs OPENAI_API_KEY in the environment"):
        ask(None, model="openai/gpt-4o-mini")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": "azure/m"}, "AZURE_API_VERSION and AZURE_API_KEY"),
        ({"model": "azure/m", "params": {"api_version": "2024-10-21"}}, "AZURE_API_KEY"),
    ],
)
def test_only_what_is_missing_is_named(fields, named, monkeypatch):
    from tasks.llm import gateway

    for name in ("AZURE_API_VERSION", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_API_BASE", "https://mine.openai.azure.com")
    with pytest.raises(RunError, match=f"'azure/m' needs {named} in the environment"):
        gateway.prepare(GeneratorConfig.model_validate(fields))
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    monkeypatch.setenv("AZURE_AD_TOKEN", "a-token")
    gateway.prepare(GeneratorConfig.model_validate(fields))


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("ollama/llama3", {}),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", {"aws_region_name": "eu-west-1"}),
        ("vertex_ai/gemini-2.0-flash", {"vertex_project": "mine", "vertex_location": "us-central1"}),
    ],
)
def test_what_needs_no_variable_is_not_refused_for_one(model, params, monkeypatch):
    from tasks.llm import gateway

    for name in ("OLLAMA_API_BASE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VERTEXAI_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    gateway.prepare(GeneratorConfig(model=model, params=params))


def test_an_unknown_provider_is_one_clear_message():
    with pytest.raises(RunError, match="'no-such-thing': litellm knows no such provider"):
        ask(None, model="no-such-thing")


def test_an_unknown_embedded_model_names_the_known_ones():
    with pytest.raises(UserError, match=r"unknown embedded model 'embedded/llama'.*embedded/smollm2-135m-instruct"):
        ask(None, model="embedded/llama")


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18", True),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06", True),
        ("anthropic/claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-0125", True),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4", "gpt-4-turbo", False),
        ("ollama/llama3", "ollama/llama3:latest", True),
        ("openrouter/meta-llama/llama-3-8b-instruct", "meta-llama/Llama-3-8B-Instruct", True),
        ("openai/smollm", "/models/SmolLM.gguf", True),
        ("openai/llama-3-8b", "llama-3-70b", False),
        ("azure/my-deployment", "gpt-4o-2024-08-06", True),
        ("openai/some-model", "", False),
    ],
)
def test_only_the_model_asked_for_counts(asked, answered, same):
    assert same_model(asked, answered) is same


def test_refusals_do_not_use_a_call_up(serve):
    from tasks.llm import gateway

    endpoint = serve(*[busy(**{"Retry-After": "0"})] * (gateway.ATTEMPTS + 2), chat())
    assert ask(endpoint.url).answers == (Answer("hello", "stop"),)


def test_several_answers_to_one_prompt_are_asked_for(serve):
    status, headers, body = chat()
    choices = [
        {**body["choices"][0], "index": i, "message": {"role": "assistant", "content": f"no {i}"}} for i in (0, 1)
    ]
    endpoint = serve((status, headers, {**body, "choices": choices}))
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url)
    from tasks.llm import gateway

    done = loop.run(gateway.complete(Request(({"role": "user", "content": "hi"},), generator, 33, 5, completions=2)))
    assert endpoint.bodies[0]["n"] == 2
    assert [answer.text for answer in done.answers] == ["no 0", "no 1"]


def test_all_calls_to_a_provider_share_one_throttle():
    from tasks.llm import gateway

    one, other = (GeneratorConfig(model="openai/m", temperature=t, requests_per_minute=7) for t in (0.1, 0.9))
    assert gateway.throttle(one) is gateway.throttle(other)
    assert gateway.throttle(one) is not gateway.throttle(GeneratorConfig(model="openai/other"))


def test_a_schema_is_sent_and_a_price_of_ones_own_counts(serve):
    from tasks.llm import gateway

    endpoint = serve(chat('{"texts": ["a", "b"]}'))
    price = {"input": 2.0, "output": 4.0}
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url, price=price)
    request = Request(
        ({"role": "user", "content": "hi"},), generator, 33, 5, response_format=Form(2, as_json=True).schema
    )
    done = loop.run(gateway.complete(request))
    assert endpoint.bodies[0]["response_format"]["json_schema"]["name"] == "texts"
    assert done.cost_usd == pytest.approx(11 * 2e-6 + 7 * 4e-6)


def test_many_calls_to_nobody_end_together():
    from tasks.llm import gateway

    generator = GeneratorConfig(model="openai/dead", api_base="http://127.0.0.1:9", timeout=5)

    async def ask_many():
        requests = [Request(({"role": "user", "content": "hi"},), generator, 33, seed) for seed in range(60)]
        calls = [gateway.complete(request, first_wait=0.01) for request in requests]
        return await asyncio.gather(*calls, return_exceptions=True)

    start = time.monotonic()
    errors = loop.run(ask_many())
    assert time.monotonic() - start < 20
    assert all(isinstance(error, RunError) for error in errors)
    assert all("cannot be reached" in str(error) for error in errors)


def with_usage(usage: object, text: str = "hello", finish: str = "stop") -> Reply:
    status, headers, body = chat(text, finish=finish)
    return status, headers, {**body, "usage": usage}


UNKNOWN = [
    None,
    {},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    {"prompt_tokens": 10**15, "completion_tokens": 10**15, "total_tokens": 10**15},
]


@pytest.mark.parametrize("usage", UNKNOWN)
def test_tokens_that_nobody_counted_are_the_most_that_there_can_be_and_said_to_be(usage, serve):
    done = ask(serve(with_usage(usage)).url, price={"input": 1, "output": 2})
    assert done.estimated
    assert done.tokens_in == len("say hello") + 16
    assert len("hello") <= done.tokens_out <= 33
    assert done.cost_usd == pytest.approx((done.tokens_in + 2 * done.tokens_out) / 1e6)


@pytest.mark.parametrize(("text", "finish"), [("", "stop"), ("hello", "length"), ("", "length")])
def test_an_answer_whose_tokens_cannot_be_seen_in_its_text_may_have_all_that_it_was_allowed(text, finish, serve):
    assert ask(serve(with_usage(None, text, finish)).url).tokens_out == 33


def test_a_count_that_lacks_one_side_keeps_the_other(serve):
    done = ask(serve(with_usage({"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11})).url)
    assert (done.tokens_in, done.estimated) == (11, True) and done.tokens_out >= 5


def test_an_answer_without_a_text_may_take_no_tokens(serve):
    done = ask(serve(with_usage({"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11}, "")).url)
    assert (done.tokens_in, done.tokens_out, done.estimated) == (11, 0, False)


def test_more_tokens_than_were_allowed_are_counted_as_they_are_billed(serve):
    done = ask(serve(with_usage({"prompt_tokens": 11, "completion_tokens": 5000, "total_tokens": 5011})).url)
    assert (done.tokens_out, done.estimated) == (5000, False)


def test_a_refused_prompt_may_be_billed(serve):
    error = {"message": "filtered", "code": "content_filter", "type": None, "param": "prompt"}
    done = ask(serve((400, {}, {"error": error})).url, price={"input": 1, "output": 2})
    assert done.estimated and done.cost_usd == pytest.approx(25e-6) and done.tokens_out == 0


ONCE = {
    "errors": [],
    "busy": [],
    "resets": ["lost"],
    "drops": ["lost"],
    "truncated": ["lost"],
    "drips": ["lost"],
    "gateways": ["lost"],
}


@pytest.mark.parametrize("fault", [*ONCE, "hangs"])
def test_every_attempt_is_reserved_and_those_that_may_be_billed_are_told(fault):
    attempts, options = Attempts(), {"hang": 3, "drip": 0.05}
    with provider(**{fault: 1, "faults_for": 0.1}, **options) as endpoint:  # type: ignore[arg-type]
        assert ask(endpoint.url, attempts=attempts, timeout=1).answers[0].text
        asked = endpoint.stats()["asked"]
    assert attempts.told.count("reserve") == asked > 1
    assert attempts.told.count("lost") == (asked - 1) * len(ONCE.get(fault, ["lost"]))
    assert "lost" not in attempts.told[-1:]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 503])
def test_an_error_of_the_provider_itself_is_not_billed(status, serve):
    attempts = Attempts()
    with pytest.raises(RunError):
        ask(serve((status, {}, {"error": {"message": "no"}})).url, attempts=attempts)
    assert "lost" not in attempts.told


@pytest.mark.parametrize("status", [408, 502, 504, 524])
def test_what_a_proxy_lost_may_be_billed(status, serve):
    attempts = Attempts()
    with pytest.raises(RunError):
        ask(serve((status, {}, {"error": {"message": "no"}})).url, attempts=attempts)
    assert attempts.told.count("lost") == attempts.told.count("reserve") > 1


def test_nobody_there_bills_nothing():
    attempts = Attempts()
    with pytest.raises(RunError, match="cannot be reached"):
        ask("http://127.0.0.1:9/v1", model="openai/nobody", attempts=attempts)
    assert "lost" not in attempts.told


def test_a_budget_ends_the_repeats(serve):
    endpoint = serve((504, {}, {"error": {"message": "no"}}))
    with pytest.raises(BudgetReachedError):
        ask(endpoint.url, attempts=Attempts(most=2))
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize("status", [403, 413])
def test_a_refusal_for_good_is_not_repeated(status, serve):
    endpoint = serve((status, {}, {"error": {"message": "no"}}))
    with pytest.raises(RunError):
        ask(endpoint.url)
    assert len(endpoint.bodies) == 1


NO_MONEY = [
    (429, {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}),
    (429, {"message": "quota", "type": "invalid_request_error", "param": None, "code": "insufficient_quota"}),
    (400, {"message": "Your credit balance is too low to access the API.", "type": "invalid_request_error"}),
    (402, {"message": "Insufficient credits", "code": 402}),
]


@pytest.mark.parametrize(("status", "error"), NO_MONEY)
def test_an_account_without_money_is_one_clear_message_at_once(status, error, serve):
    endpoint = serve((status, {}, {"error": error}))
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"'openai/served-model' at .* no quota or money left"):
        ask(endpoint.url)
    assert len(endpoint.bodies) == 1 and time.monotonic() - begun < 5


def test_time_outs_count_from_the_first_byte_to_the_last():
    with provider(drips=1, drip=0.1) as endpoint:
        begun = time.monotonic()
        with pytest.raises(RunError, match=r"no whole answer within 0.5 s \(timeout\)"):
            ask(endpoint.url, timeout=0.5)
        assert time.monotonic() - begun < 6 * 0.5 + 6


def test_a_call_that_is_refused_for_ever_while_others_are_answered_ends(serve):
    from tasks.llm import gateway

    endpoint = serve(chat(model="refusing"))
    answer = endpoint.reply
    endpoint.reply = lambda body: busy(**{"Retry-After": "0"}) if "unwanted" in str(body) else answer(body)
    generator = GeneratorConfig(model="openai/refusing", api_base=endpoint.url, timeout=5)
    ended = False

    def request(text: str, seed: int) -> Request:
        return Request(({"role": "user", "content": text},), generator, 33, seed)

    async def others() -> int:
        answered = 0
        while not ended:
            await gateway.complete(request("hello", answered))
            answered += 1
            await asyncio.sleep(0.05)
        return answered

    async def both() -> tuple[int, BaseException | None]:
        nonlocal ended
        beside = asyncio.create_task(others())
        refused = asyncio.create_task(gateway.complete(request("unwanted", 0), patience=0.5))
        await asyncio.wait([refused], timeout=60)
        ended = True
        return await beside, refused.exception()

    answered, error = loop.run(both())
    assert answered > 0 and "slow down" in str(error)


GUESSED = [
    (502, {"error": {"message": "upstream rate limit reached"}}),
    (504, {"error": {"message": "Error 429: rate limit exceeded upstream"}}),
    (200, b'{"choices": [{"message": {"content": "of the rate limit, error code 429, too many requ'),
]


@pytest.mark.parametrize(("status", "body"), GUESSED)
def test_what_only_reads_like_a_refusal_is_an_answer_that_was_lost(status, body, serve):
    from tasks.llm import gateway

    attempts, endpoint = Attempts(), serve((status, {}, body))
    with pytest.raises(RunError):
        ask(endpoint.url, attempts=attempts)
    assert attempts.told == ["reserve", "lost"] * gateway.ATTEMPTS
    assert len(endpoint.bodies) == gateway.ATTEMPTS


def test_a_refusal_after_a_failure_waits_for_its_turn_only(serve):
    endpoint = serve((500, {}, {"error": {"message": "oops"}}), *[busy(**{"Retry-After": "0"})] * 6, chat())
    begun = time.monotonic()
    assert ask(endpoint.url, first_wait=0.2).answers[0].text == "hello"
    assert time.monotonic() - begun < 12  # doubled with each refusal it would be more than twenty


def test_a_request_that_is_refused_at_once_was_one_attempt(serve):
    with pytest.raises(RunError, match=r"\(1 attempt\)"):
        ask(serve((400, {}, {"error": {"message": "no", "code": "bad"}})).url)


def test_an_endpoint_that_does_not_answer_is_said_once_for_all_calls(caplog):
    from tasks.llm import gateway

    with provider(latency=1.0) as endpoint:
        generator = GeneratorConfig(model="openai/slow", api_base=endpoint.url, timeout=5)
        gateway.throttle(generator).waits = Waits(first=0.3)
        requests = [Request(({"role": "user", "content": "hi"},), generator, 33, seed) for seed in range(4)]

        async def ask_all() -> None:
            await asyncio.gather(*map(gateway.complete, requests))

        loop.run(ask_all())
    said = [record.getMessage() for record in caplog.records if "not answered" in record.getMessage()]
    assert said == ["waiting for openai/slow, which has not answered yet, 0 s so far"]


def odd(**fields: object) -> dict[str, object]:
    return {**chat()[2], **fields}


def odd_message(**fields: object) -> dict[str, object]:
    message = {"role": "assistant", "content": "hello", **fields}
    return odd(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])


UNREAD = [
    *(odd(usage=usage) for usage in ("x", [1], 5, {"prompt_tokens": "five"}, {"prompt_tokens": 5.5}, {"a": math.nan})),
    odd(usage={"prompt_tokens": math.nan, "completion_tokens": math.nan, "total_tokens": math.nan}),
    *(odd(model=model) for model in (5, ["served-model"], {"name": "served-model"})),
    odd(_hidden_params=5),
    *(odd_message(tool_calls=calls) for calls in (5, [5], [{"a": 1}])),
    *(odd_message(images=images) for images in (5, [5])),
    *(odd_message(reasoning_content=thoughts) for thoughts in (5, {"a": 1})),
    odd_message(content=[{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}]),
    odd(choices=[{"message": {"content": "hello"}}]),
]
WITHOUT_TEXT = [
    *(odd_message(content=content) for content in ({"a": 1}, 5)),
    *(odd(choices=[choice]) for choice in (5, None, {"message": None}, {"message": 5}, {})),
]


@pytest.mark.parametrize(("text", "body"), [*(("hello", body) for body in UNREAD), *(("", b) for b in WITHOUT_TEXT)])
def test_an_odd_but_whole_answer_is_paid_and_asked_for_once(text, body, serve, tmp_path):
    from tasks.llm import gateway

    endpoint = serve((200, {}, body))
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url, price={"input": 1, "output": 2})
    request = Request(({"role": "user", "content": "say hello"},), generator, 33, 5)
    ledger = Ledger(tmp_path / "book.json", 1.0)

    async def asked(journal: Journal) -> None:
        metered = MeteredCalls(journal, gateway.complete, spending_of(generator, ledger))
        try:
            await metered.call("call", request)
        finally:
            await metered.settled()

    with open_journal(tmp_path / "journal.jsonl", "a test") as journal:
        with contextlib.suppress(RunError):  # nobody says which model answered
            loop.run(asked(journal))
        assert [answer.text for answer in journal.entries["call"].answers] == [text]
    assert len(endpoint.bodies) == 1
    assert ledger.spent_usd >= (11 + 2 * 7) / 1e6 and not json.loads(ledger.path.read_text())["reserved"]


@pytest.mark.parametrize(
    "body", [[1], odd(choices="x"), {"id": "x"}, odd(error={"message": "broken"}), b'{"choices": [']
)
def test_what_is_no_answer_is_none(body, serve):
    attempts = Attempts()
    with pytest.raises(RunError):
        ask(serve((200, {}, body)).url, attempts=attempts)
    assert attempts.told == ["reserve", "lost"] * attempts.told.count("lost") != []


@pytest.mark.slow
@pytest.mark.parametrize("proxied", [True, False])
def test_a_process_heeds_the_proxies_of_its_environment_and_ends_without_a_word(proxied, serve):
    endpoint = serve(chat())
    proxies = {"HTTP_PROXY": endpoint.url.removesuffix("/v1")}
    if not proxied:
        proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    url = "http://provider.invalid/v1" if proxied else endpoint.url
    code = f"from tests.llm.test_gateway import ask; print(ask({url!r}).answers[0].text)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | proxies, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, len(endpoint.bodies)) == ("hello\n", "", 1)


def test_a_compressed_answer_is_read(serve):
    content = gzip.compress(json.dumps(chat()[2]).encode())
    assert ask(serve((200, {"content-encoding": "gzip"}, content)).url).answers == (Answer("hello", "stop"),)
