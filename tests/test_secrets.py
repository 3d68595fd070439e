"""Secrets are recognised by name, by format and by randomness; what people write in studies is none."""

import base64
import json
import random
import string
import time
from importlib import util
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tasks.secrets import holds_secret, is_random, secret_format, secrets

ROOT = Path(__file__).parents[1]
SHIPPED = [*ROOT.glob("deployments/**/*.yaml"), *ROOT.glob("tasks/data/catalog/*.yaml")]
HASH = "3f9a1c7e5b2d8064f1e9c3a7b5d20846"
SHA = "3f9a1c7e5b2d8064f1e9c3a7b5d20846a9c1e7f2"
BODY = "aB3dE5gH7jK9mN2pQ4sT6vW8xY0zA1cD3eF5"


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "api-key", "apiKey", "X-Api-Key", "OPENAI_API_KEY", "aws_secret_access_key", "aws_access_key_id",
        "aws_session_token", "vertex_credentials", "client_secret", "password", "azure_password", "azure_ad_token",
        "headers", "extra_headers", "authorization", "token", "hf_token", "private_key", "connection_string", "sig",
    ],
)  # fmt: skip
def test_names_that_hold_secrets(name: str) -> None:
    assert holds_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "top_k", "eos_token", "stop_token_ids", "skip_special_tokens", "prompt_cache_key", "keyword",
        "author", "tokenizer", "thinking_token_budget", "logit_bias", "reasoning_effort", "min_p", "budget_tokens",
    ],
)  # fmt: skip
def test_names_that_hold_none(name: str) -> None:
    assert not holds_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        f"sk-{BODY}", f"sk-proj-{BODY}", f"sk-ant-api03-{BODY}", f"sk-or-v1-{BODY}",
        "AKIAIOSFODNN7EXAMPLE", f"AIza{BODY[:35]}",
        f"hf_{BODY}", f"ghp_{BODY}", f"github_pat_{BODY}", f"glpat-{BODY}", f"xoxb-{BODY}", f"gsk_{BODY}",
        f"eyJhbGciOiJI.eyJzdWIiOiIx.{BODY}", "-----BEGIN RSA PRIVATE KEY-----", f"Authorization: Bearer {BODY}",
        "Authorization: Basic bWU6aHVudGVyMg==", "say Basic bWU6aHVudGVyMg==", f"a BEARER {BODY}",
        "ssh://git:hunter2@host/x", "ssh://me@host/x",
        "see https://me:hunter2@host/v1", "https://host/v1?api_key=hunter2", "https://host/?x=1&sig=hunter2",
        f"AccountName=x;AccountKey={BODY}==",
    ],
)  # fmt: skip
def test_formats_of_secrets(text: str) -> None:
    assert secret_format(text) and secret_format(f"a note with {text}, which nobody should see")


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-compatible-v2", "https://host/v1", "http://127.0.0.1:8000/a@b",
        "https://host/v1?api-version=2024-06", "mail me@example.com", "bearer of bad news",
        "The bearer writes basic authentication", "a password is a word",
        "d18ef3c2a6c9e8d4b2f1a0c9e8d7b6a5f4e3d2c1", "https://host/?q=key", "eyJust a word.",
        "risk-adjusted-2024-return", "a basic COVID-19-related question", "Basic 3-Zimmer-Wohnung",
        "bearer 2024-budget-of-the-state-of-texas", "Basic requirements2", "git+ssh://git@github.com/me/x.git",
    ],
)  # fmt: skip
def test_formats_of_what_is_none(text: str) -> None:
    assert secret_format(text) is None


def test_a_secret_of_the_environment_is_found_whatever_it_looks_like(monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret_format("say correct horse battery") is None
    monkeypatch.setenv("SOME_API_KEY", "correct 4 horse")
    assert secret_format("say correct 4 horse battery")
    for value in ("postgres", "not-needed", "lm-studio", "1234567890123", "short-1"):
        monkeypatch.setenv("SOME_API_KEY", value)
        assert secret_format(f"budget {value}") is None
    monkeypatch.setenv("SYNTHGAP_MOST_TOKENS", "10000000")
    assert list(secrets({"budget_tokens": "10000000"})) == []
    for value in ("OPENAI_API_KEY", "/run/keys/mine", "https://keys.example/v1"):
        monkeypatch.setenv("SOME_KEY_SOURCE", value)
        assert secret_format(f"asks {value}") is None


@pytest.mark.parametrize("alphabet", [string.ascii_letters + string.digits, "0123456789abcdef"])
def test_most_random_strings_are_seen(alphabet: str) -> None:
    rng = random.Random(7)
    found = ["".join(rng.choices(alphabet, k=32)) for _ in range(500)]
    assert sum(map(is_random, found)) > 0.8 * len(found)
    encoded = [base64.b64encode(rng.randbytes(32)).decode() for _ in range(500)]
    assert sum(map(is_random, encoded)) > 0.8 * len(encoded)


@pytest.mark.parametrize(
    "name",
    [
        "meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo-Free", "MoritzLaurer/DeBERTa-v3-large-mnli-fever-anli-ling-wanli",
        "DeBERTaV3BaseMNLIFeverANLILingWANLI", "49d094fb-3db0-4743-9400-0d9c8d3f73ff",
        "hf-internal-testing/tiny-random-BertForSequenceClassification",
        "openai/ft:gpt-4o-mini-2024-07-18:me::AbC12dEf",
        "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6", "x" * 200,
        "https://my-resource-1234567890.openai.azure.com/openai/deployments/gpt4o20240806global",
    ],
)  # fmt: skip
def test_names_commits_hashes_and_uuids_are_not_random(name: str) -> None:
    assert not is_random(name)


def test_no_model_that_litellm_knows_looks_like_a_secret() -> None:
    spec = util.find_spec("litellm")
    assert spec and spec.submodule_search_locations
    table = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    models = json.loads(table.read_text(encoding="utf-8"))
    assert len(models) > 1000 and [name for name in models if is_random(name) or secret_format(name)] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_file_holds_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(secrets(yaml.safe_load(text))) == [] and secret_format(text) is None


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"params": {"a": {"b": [{"Client-Secret": "x"}]}}}, "params.a.b.0.Client-Secret"),
        ({"generators": [{"params": {"password": 5}}]}, "generators.0.params.password"),
        ({"generators": [{"endpoint": BODY}]}, "generators.0.endpoint"),
        ({"providers": [{"include": ["*", BODY]}]}, "providers.0.include.1"),
        ({"sources": [{"train": f"sk-{BODY}.csv"}]}, "sources.0.train"),
        ({"imports": [{"file": f"http://h/?token={BODY}"}]}, "imports.0.file"),
        ({"labels": {"a": f"a note with hf_{BODY}"}}, "labels.a"),
        ({"labels": {f"hf_{BODY}": "a note"}}, "a name in labels"),
        ({"account": BODY}, "account"),
        ({"generators": [{"api_key_env": SHA}]}, "generators.0.api_key_env"),
        ({"generators": [{"api_base": f"https://host/v1?x={HASH}"}]}, "generators.0.api_base"),
        ({"classifiers": [{"model": HASH}]}, "classifiers.0.model"),
    ],
)
def test_the_field_is_named_and_the_value_is_not(value: dict[str, object], place: str) -> None:
    assert list(dict(secrets(value))) == [place]


def test_numbers_of_accounts_runs_and_commits_are_no_secrets() -> None:
    address = f"https://api.cloudflare.com/client/v4/accounts/{HASH}/ai/v1?version=1"
    folders = [f"./mlruns/1/{HASH}/artifacts/model", f"../{HASH}", f"/runs/{HASH}/model", f"~/{HASH}"]
    assert list(secrets({"generators": [{"api_base": address, "endpoint": address}]})) == []
    assert list(secrets({"classifiers": [*folders, *({"model": folder} for folder in folders)]})) == []
    link = "https://data.example/record/1?accessToken=abc"
    assert list(secrets({"citation": f"Somebody (2024), {link}"})) == [] != list(secrets({"context": link}))
    assert list(secrets({"revision": SHA, "sha256": SHA + HASH[:24]})) == []


@pytest.mark.parametrize("piece", ["sk-", "sk-a-", "xai-", "eyJ-", "Bearer ", "basic ", "a://b", "?key", "gsk_", "&a="])
def test_time_grows_with_the_length_of_a_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        begun = time.process_time()
        secret_format(text)
        return time.process_time() - begun

    small = min(seconds(10_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < 24 * max(small, 0.002)  # 64 times where it is quadratic


def test_words_of_people_may_be_anything_else() -> None:
    texts = {"password": "a note with a password", "token": f"such as {BODY}"}
    assert list(secrets({"labels": texts, "context": BODY, "label_map": {"key": "a"}, "personas": [BODY]})) == []
    assert list(secrets({"params": {"logit_bias": {"50256": -100}, "password": None}})) == []
    assert list(secrets({"file": f"/nix/store/{BODY.lower()}/rows.csv", "revision": "a1b2c3d4" * 5})) == []


@effort(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_anything_can_be_looked_at(value: object) -> None:
    assert all(isinstance(place, str) and kind for place, kind in secrets(value))
