"""What providers list, asked over HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tasks.config import ProviderConfig
from tasks.discovery.listing import list_generators, lists_others_only
from tasks.errors import RunError

MODELS = ["chat-large", "chat-small", "embed-1", "speech"]


class Serving:
    """An endpoint that lists models, or fails as it is told."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps({"data": [{"id": name} for name in MODELS]})
        serving = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(serving.status if self.path == "/v1/models" else 404)
                self.end_headers()
                self.wfile.write(serving.body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def serving() -> Iterator[Serving]:
    endpoint = Serving()
    yield endpoint
    endpoint.server.shutdown()


def provider(serving: Serving, **fields: object) -> ProviderConfig:
    return ProviderConfig.model_validate({"name": "mine", "api_base": serving.url, **fields})


def names(found: object) -> list[str]:
    return [generator.model for generator in found]


def test_an_endpoint_of_ones_own_lists_its_models_under_openais_protocol(serving: Serving) -> None:
    found = list_generators(provider(serving))
    assert names(found) == [f"openai/{name}" for name in MODELS]
    assert {generator.api_base for generator in found} == {serving.url}


def test_patterns_choose(serving: Serving) -> None:
    found = list_generators(provider(serving, include=["chat-*", "speech"], exclude=["*-large", "speech"]))
    assert names(found) == ["openai/chat-small"]


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (500, "", "status 500"),
        (401, "sk-planted", "status 401; none was sent.*api_key_env"),
        (200, "{}", "KeyError"),
        (200, "no json", "Error"),
    ],
)
def test_a_provider_that_does_not_tell_is_an_error_and_no_empty_list(serving: Serving, status, body, word) -> None:
    serving.status, serving.body = status, body
    with pytest.raises(RunError, match=word) as raised:
        list_generators(provider(serving))
    assert "sk-planted" not in str(raised.value)


def test_an_empty_answer_is_an_error(serving: Serving) -> None:
    serving.body = '{"data": []}'
    with pytest.raises(RunError, match="lists no models"):
        list_generators(provider(serving))


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(RunError, match="cannot be reached"):
        list_generators(ProviderConfig(name="mine", api_base="http://127.0.0.1:9/v1"))


def test_a_provider_is_asked_the_way_litellm_knows(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_BASE", serving.url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted")
    anthropic = ProviderConfig(name="anthropic", include=("chat-*",))
    assert names(list_generators(anthropic)) == ["anthropic/chat-large", "anthropic/chat-small"]
    serving.status, serving.body = 401, "sk-planted"
    with pytest.raises(RunError, match="provider 'anthropic' does not list its models") as raised:
        list_generators(anthropic)
    assert "sk-planted" not in str(raised.value)


@pytest.mark.parametrize(("model", "gone"), [("openai/old", True), ("hosted_vllm/old", True), ("x/chat-large", False)])
def test_an_llm_is_gone_where_others_are_listed_and_it_is_not(serving: Serving, model: str, gone: bool) -> None:
    assert lists_others_only(model, serving.url) is gone
    serving.body = '{"data": []}'
    assert not lists_others_only(model, serving.url)
    assert not lists_others_only(model, f"{serving.url}/wrong")


def test_the_packaged_llms_are_listed() -> None:
    assert names(list_generators(ProviderConfig(name="embedded"))) == ["embedded/smollm2-135m-instruct"]


def test_a_provider_that_litellm_cannot_ask_is_named() -> None:
    with pytest.raises(RunError, match="'no-such-provider'"):
        list_generators(ProviderConfig(name="no-such-provider"))
