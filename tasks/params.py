"""Which of litellm's parameters a generator's ``params`` may hold: those that sample, not those that bind.

litellm takes all of them alike: sampling, but also whom to ask, how often, with which key and for how many answers.
What a call reserves and costs, and where it goes, is decided by fields of the study. What litellm knows beside these is
checked against its own table before the first call (``gateway``).
"""

import re
from typing import Any

FIELDS = {
    "max_tokens": (
        "max_completion_tokens", "max_new_tokens", "max_output_tokens", "max_tokens_to_sample", "max_length",
        "maxOutputTokens", "num_predict", "n_predict",
    ),
    "completions": ("n", "best_of", "num_return_sequences", "candidate_count", "num_beams"),
    "temperature": (),
    "model": (
        "custom_llm_provider", "deployment_id", "model_list", "fallbacks", "context_window_fallback_dict",
        "base_model", "model_alias_map",
    ),
    "api_base": (
        "base_url", "api_type", "azure_endpoint", "host", "aws_bedrock_runtime_endpoint", "aws_sts_endpoint",
        "sagemaker_base_url", "use_litellm_proxy", "ssl_verify",
    ),
    "timeout": ("request_timeout", "stream_timeout", "force_timeout"),
    "json_schema": (
        "response_format", "functions", "function_call", "tools", "tool_choice", "parallel_tool_calls",
        "enable_json_schema_validation",
    ),
    "price": ("input_cost_per_token", "output_cost_per_token", "input_cost_per_second", "output_cost_per_second"),
    "requests_per_minute": ("rpm",),
    "tokens_per_minute": ("tpm",),
    "api_key_env": ("api_key", "organization", "default_headers", "headers", "extra_headers"),
}  # fmt: skip
"""Fields of a generator, and the parameters of litellm and of providers whose place they take."""
OTHERWISE = {
    "seed": "each call has a seed of its own, made from its index",
    "messages": "prompts are made from the task and the mode",
    "prompt": "prompts are made from the task and the mode",
    "stream": "answers are read whole",
    "stream_options": "answers are read whole",
    "num_retries": "failed calls are repeated by rules of their own",
    "max_retries": "failed calls are repeated by rules of their own",
    "retry_policy": "failed calls are repeated by rules of their own",
    "retry_strategy": "failed calls are repeated by rules of their own",
    "cooldown_time": "failed calls are repeated by rules of their own",
    "mock_response": "answers come from an LLM",
    "mock_timeout": "answers come from an LLM",
    "mock_tool_calls": "answers come from an LLM",
    "extra_body": "write the fields that it holds under params themselves; they reach the provider as they are",
    "extra_query": "nothing is added to an address",
    "drop_params": "a parameter that is left out could be the limit of an answer",
    "additional_drop_params": "a parameter that is left out could be the limit of an answer",
    "allowed_openai_params": "parameters are passed on as they are",
    "modalities": "answers are texts",
    "audio": "answers are texts",
    "prediction": "answers are texts",
    "include_server_side_tool_invocations": "answers are an LLM's own, and tools cost extra",
    "web_search_options": "answers are an LLM's own, and searches cost extra",
    "cache": "calls are kept in a journal",
    "caching": "calls are kept in a journal",
    "callbacks": "nothing is told to anybody else",
    "success_callback": "nothing is told to anybody else",
    "failure_callback": "nothing is told to anybody else",
    "metadata": "nothing is told to anybody else",
}
"""Parameters that no field stands for, and why not."""
PLACES = re.compile(r"(?:^|_)(?:region|region_name|location|project|project_id|account_id|tenant|api_version)$")
"""Parameters that providers put into a host's name or a path."""
PLAIN = re.compile(r"[A-Za-z0-9][\w.-]*")
ADDRESSES = re.compile(r"(?:^|_)(?:url|uri|host|hosts|endpoint|endpoint_url|proxy|proxies|api_base|base_url)$")

_field_of = {other: field for field, others in FIELDS.items() for other in (field, *others)}


def complaint_about(name: str, value: Any) -> str | None:
    """Why a parameter may not stand in ``params``; null where it may."""
    plain = name.strip().replace("-", "_")
    known = plain if plain in _field_of or plain in OTHERWISE else plain.lower()
    if field := _field_of.get(known):
        return f"write it as the generator's field {field}" if field == known else f"use the generator's field {field}"
    if known in OTHERWISE:
        return OTHERWISE[known]
    if ADDRESSES.search(plain.lower()):
        return "only the generator's field api_base names an address"
    if PLACES.search(plain.lower()) and not (isinstance(value, str | int) and PLAIN.fullmatch(str(value))):
        return "must be a plain name: letters, digits, '.', '_' and '-'"
    return None
