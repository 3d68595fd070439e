"""The gateway against a real HTTP endpoint on loopback, through the real litellm."""

import asyncio
import time

import pytest

from tasks.config import GeneratorConfig
from tasks.errors import RunError, UserError
from tasks.synthesis import loop
from tasks.synthesis.calls import Answer, Request
from tasks.synthesis.form import Form
from tasks.synthesis.models import same_model
from tests.endpoint import Reply, chat


def ask(url: str, model: str = "openai/served-model", **fields: object):
    from tasks.synthesis import gateway

    generator = GeneratorConfig.model_validate({"model": model, "api_base": url, "timeout": 5, **fields})
    gateway.prepare(generator)
    messages = ({"role": "user", "content": "say hello"},)
    return loop.run(gateway.complete(Request(messages, generator, max_tokens=33, seed=5), first_wait=0.01))


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
    from tasks.synthesis import gateway

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
    monkeypatch.setenv("MY_SERVER_KEY", "sk-planted-secret")
    with pytest.raises(RunError, match=r"refuses the API key$"):
        ask(endpoint.url, api_key_env="MY_SERVER_KEY")


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
    from tasks.synthesis import gateway

    endpoint = serve(*[busy(**{"Retry-After": "0"})] * (gateway.ATTEMPTS + 2), chat())
    assert ask(endpoint.url).answers == (Answer("hello", "stop"),)


def test_several_answers_to_one_prompt_are_asked_for(serve):
    status, headers, body = chat()
    choices = [
        {**body["choices"][0], "index": i, "message": {"role": "assistant", "content": f"no {i}"}} for i in (0, 1)
    ]
    endpoint = serve((status, headers, {**body, "choices": choices}))
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url)
    from tasks.synthesis import gateway

    done = loop.run(gateway.complete(Request(({"role": "user", "content": "hi"},), generator, 33, 5, completions=2)))
    assert endpoint.bodies[0]["n"] == 2
    assert [answer.text for answer in done.answers] == ["no 0", "no 1"]


def test_all_calls_to_a_provider_share_one_throttle():
    from tasks.synthesis import gateway

    one, other = (GeneratorConfig(model="openai/m", temperature=t, requests_per_minute=7) for t in (0.1, 0.9))
    assert gateway.throttle(one) is gateway.throttle(other)
    assert gateway.throttle(one) is not gateway.throttle(GeneratorConfig(model="openai/other"))


def test_a_schema_is_sent_and_a_price_of_ones_own_counts(serve):
    from tasks.synthesis import gateway

    endpoint = serve(chat('{"texts": ["a", "b"]}'))
    price = {"input": 2.0, "output": 4.0}
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url, price=price)
    request = Request(({"role": "user", "content": "hi"},), generator, 33, 5, form=Form(2, as_json=True))
    done = loop.run(gateway.complete(request))
    assert endpoint.bodies[0]["response_format"]["json_schema"]["name"] == "texts"
    assert done.cost_usd == pytest.approx(11 * 2e-6 + 7 * 4e-6)


def test_many_calls_to_nobody_end_together():
    from tasks.synthesis import gateway

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
