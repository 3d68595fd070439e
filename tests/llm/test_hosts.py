"""A key goes to its own provider only: calls through the real litellm to a loopback address that writes all down."""

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.config import GeneratorConfig, ProviderConfig
from tasks.discovery.listing import list_generators
from tasks.errors import RunError, UserError, redacted
from tasks.llm import loop
from tasks.llm.calls import Request
from tasks.llm.hosts import LOCAL, NO_KEY, ONE_KEY, PROVIDERS, destination, is_loopback, key_for, owner_of
from tests.endpoint import chat

ELSEWHERE = "http://127.0.0.1:1/v1"
LOGINS = ("AWS_", "AZURE_", "DATABRICKS_", "GOOGLE_", "OPENAI_", "VERTEXAI_", "ANTHROPIC_", "HF_")


class Listener:
    """Writes down every request whole: line, headers and body."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        listener, answer = self, json.dumps({**chat()[2], "data": [{"id": "m"}]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode(errors="replace")
                listener.heard.append(f"{self.requestline}\n{self.headers}\n{body}")
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815 - as the server looks for it

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture(scope="module")
def listening() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def listener(listening: Listener) -> Listener:
    listening.heard.clear()
    return listening


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables that hold keys, each with a value of its own; none that names an address."""
    for name in list(os.environ):
        if name.startswith(LOGINS) or re.search(r"_(API_BASE|BASE_URL|ENDPOINT)$", name):
            monkeypatch.delenv(name)
    names = {key for provider in PROVIDERS.values() for key in provider.keys}
    names |= {f"{name.upper().replace('-', '_')}_API_KEY" for name in ONE_KEY}
    values = {name: f"planted-{number:03}-{name.lower()}" for number, name in enumerate(sorted(names))}
    for name, value in values.items():
        if name != "GOOGLE_APPLICATION_CREDENTIALS":  # a file's name
            monkeypatch.setenv(name, value)
    return values


def ask(model: str, api_base: str | None, **fields: object) -> None:
    from tasks.llm import gateway

    generator = GeneratorConfig.model_validate({"model": model, "api_base": api_base, "timeout": 5, **fields})
    gateway.prepare(generator)
    request = Request(({"role": "user", "content": "say hello"},), generator, max_tokens=33, seed=5)
    with contextlib.suppress(RunError):  # not every provider's protocol reads this answer
        loop.run(gateway.complete(request, first_wait=0.001))


@pytest.mark.parametrize("provider", sorted(ONE_KEY))
def test_no_key_goes_to_an_address_that_is_not_the_providers(provider: str, listener: Listener, planted) -> None:
    ask(f"{provider}/m", listener.url)
    assert listener.heard
    assert [name for name, value in planted.items() if any(value in request for request in listener.heard)] == []


@pytest.mark.parametrize("provider", sorted(ONE_KEY))
def test_the_named_key_goes_there(provider: str, listener: Listener, planted, monkeypatch) -> None:
    monkeypatch.setenv("SYNTHGAP_KEY_MINE", "my-own-value")
    ask(f"{provider}/m", listener.url, api_key_env="SYNTHGAP_KEY_MINE")
    if provider not in ("oobabooga", "ollama_chat"):
        assert any("my-own-value" in request for request in listener.heard)
    assert [name for name, value in planted.items() if any(value in request for request in listener.heard)] == []
    assert redacted("refused: my-own-value") == "refused: ***"  # whatever the variable is called


@pytest.mark.parametrize("provider", ["bedrock", "vertex_ai", "gigachat", "databricks", "snowflake", "no-such"])
def test_a_protocol_that_may_send_more_than_a_key_is_refused(provider: str) -> None:
    with pytest.raises(UserError, match=f"credentials of '{provider}' to {ELSEWHERE}.*openai/NAME"):
        key_for("generator 'x'", provider, ELSEWHERE, None)


@pytest.mark.parametrize(
    ("provider", "address", "owner"),
    [
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", "https://api.openai.com:443/v1", "openai"),
        ("openai", "https://API.OpenAI.com/v1", "openai"),
        ("openai", "https://api.groq.com/openai/v1", "groq"),
        ("openai", "https://eu.api.openai.com/v1", "openai"),
        ("bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("vertex_ai", "https://us-central1-aiplatform.googleapis.com", "vertex_ai"),
        ("huggingface", "https://router.huggingface.co/v1", "huggingface"),
        ("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("zai", "https://api.z.ai/api/paas/v4", "zai"),
        ("huggingface", "https://x.us-east-1.aws.endpoints.huggingface.cloud", None),
        ("openai", "http://api.openai.com/v1", None),
        ("openai", "https://api.openai.com:8443/v1", None),
        ("openai", "https://api.openai.com.evil.example/v1", None),
        ("openai", "https://evilapi.openai.com.example/api.openai.com", None),
        ("openai", "https://notapi.openai.com/v1", None),
        ("openai", "https://evil.example/https://api.openai.com/v1", None),
        ("openai", "https://api.openai.com@evil.example/v1", None),
        ("azure", "https://openai.azure.com.evil.example", None),
    ],
)
def test_an_address_belongs_to_a_provider_by_its_host(provider: str, address: str, owner: str | None) -> None:
    assert owner_of(provider, address) == owner
    assert key_for("x", provider, address, None) == (None if owner == provider else NO_KEY)


@pytest.mark.parametrize(
    ("provider", "address"),
    [
        ("bedrock", "https://abc.execute-api.eu-west-1.amazonaws.com/prod"),
        ("bedrock", "https://bedrock-runtime.evil.execute-api.eu-west-1.amazonaws.com"),
        ("bedrock", "https://bucket.s3.amazonaws.com"),
        ("sagemaker", "https://ec2-1-2-3-4.compute.amazonaws.com"),
        ("databricks", "https://x.cloud.databricks.com/serving-endpoints"),
        ("vertex_ai", "https://storage.googleapis.com/bucket"),
    ],
)
def test_a_host_that_anybody_can_rent_gets_no_credentials(provider: str, address: str) -> None:
    with pytest.raises(UserError, match=f"credentials of '{provider}' to {address}"):
        key_for("x", provider, address, None)


@pytest.mark.parametrize("host", ["openai.azure.com", "openai.azure.us", "openai.azure.cn", "services.ai.azure.com"])
def test_a_resource_at_azure_gets_a_key_only_where_one_is_named(host: str, planted, monkeypatch) -> None:
    address = f"https://mine.{host}/"
    with pytest.raises(UserError, match=rf"{address} is a host .*AZURE_API_BASE.*api_key_env \(AZURE_API_KEY\)"):
        key_for("x", "azure", address, None)
    for name in ("AZURE_OPENAI_KEY", "AZURE_API_KEY_EASTUS"):
        monkeypatch.setenv(name, "key-of-azure")
        assert key_for("x", "azure", address, name) == "key-of-azure"
        with pytest.raises(UserError, match=f"{name} .*not released"):
            key_for("x", "azure", f"https://{host}.evil.example", name)
    monkeypatch.setenv("AZURE_API_BASE", f"https://mine.{host}")
    assert key_for("x", "azure", address, None) is None
    with pytest.raises(UserError, match="is a host"):
        key_for("x", "azure", f"https://others.{host}/", None)


def test_an_address_of_the_operators_environment_is_the_providers(listener: Listener, planted, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", listener.url)
    monkeypatch.setenv("OPENAI_API_BASE", listener.url)
    for address in (None, listener.url):
        listener.heard.clear()
        ask("openai/m", address)
        assert planted["OPENAI_API_KEY"] in listener.heard[0]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:2/v1")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:2/v1")
    listener.heard.clear()
    ask("openai/m", listener.url)
    assert planted["OPENAI_API_KEY"] not in listener.heard[0]


@pytest.mark.parametrize(
    ("provider", "address", "variable"),
    [
        ("openai", ELSEWHERE, "OPENAI_API_KEY"),
        ("anthropic", ELSEWHERE, "OPENAI_API_KEY"),
        ("openai", None, "ANTHROPIC_API_KEY"),
        ("openai", "https://api.groq.com/openai/v1", "OPENAI_API_KEY"),
        ("openai", ELSEWHERE, "AWS_SECRET_ACCESS_KEY"),
        ("openai", ELSEWHERE, "HF_TOKEN"),
        ("openai", ELSEWHERE, "MLFLOW_TRACKING_PASSWORD"),
        ("openai", ELSEWHERE, "PREFECT_API_AUTH_STRING"),
        ("openai", None, "SECOND_ACCOUNT"),
        ("openai", ELSEWHERE, "HOSTED_VLLM_API_KEY"),
        *(
            ("openai", "https://evil.example/v1", name)
            for name in (
                "AI21_API_KEY",
                "PGPASSWORD",
                "WANDB_API_KEY",
                "LITELLM_MASTER_KEY",
                "GH_TOKEN",
                "DATABASE_URL",
                "HOME",
                "SYNTHGAP_STORE",
            )
        ),
        ("hosted_vllm", "https://evil.example/v1", "OPENAI_API_KEY"),
    ],
)
def test_a_study_cannot_name_what_the_operator_did_not_release(provider, address, variable, monkeypatch) -> None:
    monkeypatch.setenv(variable, "value-of-somebody")
    with pytest.raises(UserError, match=rf"{variable} \(api_key_env\) is not released.*SYNTHGAP_KEYS={variable}"):
        key_for("generator 'x'", provider, address, variable)
    monkeypatch.setenv("SYNTHGAP_KEYS", f"OTHER, {variable}")
    assert key_for("generator 'x'", provider, address, variable) == "value-of-somebody"


def test_a_providers_key_may_be_named_for_its_own_hosts(planted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_for("x", "openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY") == planted["GROQ_API_KEY"]
    assert key_for("x", "openai", None, "OPENAI_API_KEY") == planted["OPENAI_API_KEY"]
    for name in ("OPENAI_API_KEY_2", "SYNTHGAP_KEY_SECOND"):
        monkeypatch.setenv(name, "second-value")
        assert key_for("x", "openai", None, name) == "second-value"
    monkeypatch.setenv("AI21_API_KEY", "ai21-value")  # of a provider whose hosts are not known here
    assert key_for("x", "ai21", None, "AI21_API_KEY") == "ai21-value"
    assert key_for("x", "hosted_vllm", ELSEWHERE, "HOSTED_VLLM_API_KEY") == planted["HOSTED_VLLM_API_KEY"]


def test_an_error_says_whether_hosts_are_known() -> None:
    with pytest.raises(UserError, match=r"its hosts are not known here.*NSCALE_API_BASE"):
        key_for("x", "nscale", ELSEWHERE, None)
    with pytest.raises(UserError, match="not one of its own hosts"):
        key_for("x", "bedrock", ELSEWHERE, None)
    assert LOCAL <= ONE_KEY


def test_a_variable_that_is_not_set_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_SERVER_KEY", raising=False)
    monkeypatch.setenv("SYNTHGAP_KEYS", "MY_SERVER_KEY")
    with pytest.raises(RunError, match="generator 'openai/m' needs MY_SERVER_KEY in the environment"):
        ask("openai/m", ELSEWHERE, api_key_env="MY_SERVER_KEY")


def test_a_list_of_models_is_asked_with_the_named_key_only(listener: Listener, planted, monkeypatch) -> None:
    list_generators(ProviderConfig(name="mine", api_base=listener.url))
    assert "authorization" not in listener.heard[0].lower() and "planted" not in listener.heard[0]
    monkeypatch.setenv("SYNTHGAP_KEY_MINE", "my-own-value")
    [found] = list_generators(ProviderConfig(name="mine", api_base=listener.url, api_key_env="SYNTHGAP_KEY_MINE"))
    assert "Bearer my-own-value" in listener.heard[1]
    assert found.api_key_env == "SYNTHGAP_KEY_MINE"  # its calls carry the same key
    with pytest.raises(UserError, match=r"OPENAI_API_KEY .*is not released"):
        list_generators(ProviderConfig(name="mine", api_base=listener.url, api_key_env="OPENAI_API_KEY"))


def test_a_provider_at_its_own_address_lists_with_its_own_key(listener: Listener, planted, monkeypatch) -> None:
    monkeypatch.setenv("GROQ_API_BASE", listener.url)
    [found] = list_generators(ProviderConfig(name="groq", api_base=listener.url))
    assert f"Bearer {planted['GROQ_API_KEY']}" in listener.heard[0]
    assert found.model == "groq/m"  # by which its calls carry the same key
    monkeypatch.setenv("GROQ_API_BASE", ELSEWHERE)
    [found] = list_generators(ProviderConfig(name="groq", api_base=listener.url))
    assert "planted" not in listener.heard[1] and found.model == "openai/m"


@pytest.mark.parametrize(
    "name", ["oobabooga/http://127.0.0.1:1", "huggingface/https://h/x", "openai/../x", "a/b?c", "a/b#c"]
)
def test_a_name_that_leads_elsewhere_is_not_called(name: str) -> None:
    from tasks.llm import gateway

    with pytest.raises(UserError, match=r"holds an address|must not hold"):
        gateway.prepare(GeneratorConfig(model=name))  # a provider may list any name


@pytest.mark.parametrize("name", ["github_copilot/gpt-4o", "chatgpt/gpt-5", "vllm/some/model", "petals/x"])
def test_providers_that_log_in_or_load_are_not_called(name: str) -> None:
    from tasks.llm import gateway

    with pytest.raises(UserError, match="cannot be called from a run"):
        gateway.prepare(GeneratorConfig(model=name))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_table_agrees_with_litellms(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.llm.gateway import litellm

    base = litellm.get_llm_provider(f"{provider}/m", api_key="x")[3]
    assert base is None or PROVIDERS[owner_of(provider, base) or ""] == PROVIDERS[provider]
    for name in PROVIDERS[provider].keys:
        monkeypatch.delenv(name, raising=False)
    missing = litellm.validate_environment(f"{provider}/m")["missing_keys"]
    assert [key for key in missing if "KEY" in key and key not in PROVIDERS[provider].keys] == []


@pytest.mark.parametrize(
    ("fields", "to"),
    [
        ({"model": "embedded/smollm2-135m-instruct"}, None),
        ({"model": "ollama/llama3.2"}, None),
        ({"model": "openai/m", "api_base": "http://127.0.0.1:8000/v1"}, None),
        ({"model": "openai/m", "api_base": "http://localhost:8000/v1"}, None),
        ({"model": "openai/m", "api_base": "http://[::1]:8000/v1"}, None),
        ({"model": "openai/m", "api_base": "http://10.0.0.7:8000/v1"}, "10.0.0.7"),
        ({"model": "ollama/m", "api_base": "http://gpu:11434"}, "gpu"),
        ({"model": "openai/gpt-4o-mini"}, "openai (api.openai.com)"),
        ({"model": "gpt-4o-mini"}, "openai (api.openai.com)"),
        ({"model": "nscale/m"}, "nscale"),
        ({"model": "bedrock/m"}, "bedrock"),
        ({"model": "databricks/m"}, "databricks"),
        ({"model": "o3-mini"}, "openai (api.openai.com)"),
        ({"model": "claude-3-haiku-20240307", "api_base": "http://10.0.0.7:8000/v1"}, "10.0.0.7"),
    ],
)
def test_whom_a_call_goes_to(fields: dict[str, str], to: str | None) -> None:
    assert destination(GeneratorConfig.model_validate(fields)) == to


@pytest.mark.parametrize("model", ["anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307", "command-r"])
def test_a_bare_name_that_is_not_openais_is_not_said_to_be(model: str) -> None:
    said = str(destination(GeneratorConfig(model=model)))
    assert "openai" not in said and repr(model) in said and "provider/model" in said


def test_whom_a_call_goes_to_where_the_environment_names_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "https://gateway.example/v1")
    assert destination(GeneratorConfig(model="openai/m")) == "gateway.example"
    monkeypatch.setenv("OLLAMA_API_BASE", "http://gpu.example:11434")
    assert destination(GeneratorConfig(model="ollama/m")) == "gpu.example"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST.", "a.localhost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host) and not is_loopback(f"{host.strip('.')}.example")
