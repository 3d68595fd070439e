"""What binds a call is not a parameter of sampling."""

import pytest

from tasks.config import GeneratorConfig, StudyConfig, parse
from tasks.errors import UserError
from tasks.params import FIELDS, OTHERWISE, complaint_about
from tasks.secrets import holds_secret

SAMPLING = {
    "top_p": 0.9, "top_k": 40, "min_p": 0.1, "presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 1.1,
    "stop": ["http://", "\n"], "logit_bias": {"5": -1}, "reasoning_effort": "low", "thinking": {"type": "enabled"},
    "verbosity": "low", "api_version": "2024-10-21", "vertex_project": "my-project", "vertex_location": "us-central1",
    "aws_region_name": "eu-west-1", "user": "me", "chat_template_kwargs": {"enable_thinking": False},
    "guided_regex": "[a-z]+", "cache_prompt": True, "grammar": 'root ::= "a"', "service_tier": "flex",
    "safe_prompt": True, "guided_json": {"properties": {"model": {"type": "string"}, "n": {}}}, "top_a": 0.1,
    "prompt_cache_key": "mine", "mirostat": 2, "typical_p": 0.9, "num_ctx": 4096, "stop_token_ids": [1, 2],
    "reasoning": {"effort": "low"}, "topP": 0.9, "truncate_prompt_tokens": 100,
}  # fmt: skip


def study(**params: object) -> StudyConfig:
    fields = {"name": "s", "tasks": ["sms_spam"], "modes": ["real"]}
    return parse(StudyConfig, {**fields, "generators": [{"model": "openai/x", "params": params}]}, "study s.yaml")


@pytest.mark.parametrize("name", SAMPLING)
def test_parameters_of_sampling_pass(name: str) -> None:
    assert study(**{name: SAMPLING[name]}).generators[0].params == {name: SAMPLING[name]}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("max_tokens", "max_tokens"), ("max_completion_tokens", "max_tokens"), ("num_predict", "max_tokens"),
        ("n", "completions"), ("best_of", "completions"), ("temperature", "temperature"), ("model", "model"),
        ("custom_llm_provider", "model"), ("fallbacks", "model"), ("base_url", "api_base"), ("api_base", "api_base"),
        ("timeout", "timeout"), ("response_format", "json_schema"), ("tools", "json_schema"),
        ("Max-Tokens", "max_tokens"), ("MAX_COMPLETION_TOKENS", "max_tokens"),
        ("input_cost_per_token", "price"),
        ("maxTokens", "max_tokens"), ("max-completion-tokens", "max_tokens"), ("maxOutputTokens", "max_tokens"),
        ("max_gen_len", "max_tokens"), ("maxTokenCount", "max_tokens"), ("max_tokens_to_generate", "max_tokens"),
        ("candidateCount", "completions"), ("num_generations", "completions"), ("numberOfGenerations", "completions"),
        ("num_samples", "completions"), ("models", "model"), ("route", "model"), ("provider", "model"),
        ("responseFormat", "json_schema"),
    ],
)  # fmt: skip
def test_what_a_field_decides_is_refused_with_the_field(name: str, field: str) -> None:
    with pytest.raises(UserError, match=rf"params\.{name} of generator 'openai/x': .*field {field}$"):
        study(**{name: 1})


@pytest.mark.parametrize("name", sorted({*OTHERWISE, *(other for others in FIELDS.values() for other in others)}))
def test_nothing_reserved_passes(name: str) -> None:
    with pytest.raises(UserError, match=rf"generators\.0.*params\.{name}|params\.{name}"):
        study(**{name: {"a": 1}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, {"maxTokens": 5}) for name in (
            "inferenceConfig", "options", "generation_config", "generationConfig", "parameters",
        )),
        ("min_tokens", 5), ("ignore_eos", True), ("plugins", []), ("web_search", True), ("google_search", {}),
        ("enable_search", True), ("search_parameters", {}),
        ("something", {"deep": [{"maxOutputTokens": 5}]}), ("something", {"api_base": "http://h"}),
        ("reasoning", {"max_tokens": 101}), ("reasoning", {"maxTokens": "50"}),
        ("thinking", {"type": "enabled", "budget_tokens": 101}), ("thinkingConfig", {"thinkingBudget": 101}),
        ("thinking_token_budget", 101), ("max_reasoning_tokens", 101),
    ],
)  # fmt: skip
def test_a_limit_cannot_be_lifted_by_another_spelling_or_from_within(name: str, value: object) -> None:
    assert complaint_about(name, value, max_tokens=100)


@pytest.mark.parametrize(
    ("name", "value"),
    [("reasoning", {"max_tokens": 100}), ("thinking", {"budget_tokens": 100}), ("thinking_budget", 100)],
)
def test_what_is_thought_stands_within_the_limit(name: str, value: object) -> None:
    assert complaint_about(name, value, max_tokens=100) is None
    assert "max_tokens" in str(complaint_about(name, value))


@pytest.mark.parametrize("name", ["aws_region_name", "vertex_location", "api_version", "account_id"])
@pytest.mark.parametrize("value", ["evil.example/#", "a/../b", "x?y=", ["a"], "a b", ""])
def test_parts_of_addresses_are_plain_names(name: str, value: object) -> None:
    assert complaint_about(name, value) and not complaint_about(name, "eu-west-1")


@pytest.mark.parametrize(
    "name", ["aws_bedrock_runtime_endpoint", "s3_endpoint_url", "langfuse_host", "proxy", "some_url"]
)
def test_addresses_stand_in_api_base_only(name: str) -> None:
    assert "api_base" in str(complaint_about(name, "http://127.0.0.1:1"))


def test_whatever_litellm_calls_its_own_is_refused_before_a_call() -> None:
    from tasks.llm import gateway  # isort: skip - before litellm, which else asks the network for prices

    from litellm.constants import OPENAI_CHAT_COMPLETION_PARAMS
    from litellm.types.utils import all_litellm_params

    allowed = {"api_version", "bos_token", "ensure_alternating_roles", "eos_token",
               "merge_reasoning_content_in_choices", "region_name", "supports_system_message",
               "use_chat_completions_api"}  # fmt: skip
    for name in set(all_litellm_params) - allowed:
        config = GeneratorConfig(model="openai/x", api_base="http://127.0.0.1:1/v1")
        given = config.model_copy(update={"params": {name: "x"}})  # as if no table of ours knew it
        with pytest.raises(UserError, match=f"params.{name} "):
            gateway.prepare(given)
    sampling = {"api_version", "frequency_penalty", "logit_bias", "logprobs",
                "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort",
                "safety_identifier", "service_tier", "stop", "store", "thinking", "top_logprobs", "top_p", "user",
                "verbosity"}  # fmt: skip
    reserved = {name for name in OPENAI_CHAT_COMPLETION_PARAMS if complaint_about(name, "x") or holds_secret(name)}
    assert set(OPENAI_CHAT_COMPLETION_PARAMS) - reserved == sampling
