"""Which of litellm's parameters a generator's ``params`` may contain: those that control sampling.

litellm accepts all parameters in the same way: sampling, but also the address, retries, the key and the number of
answers. Fields of the study decide what a call reserves and costs, and where it goes. Further names that litellm knows
are checked against its own table before the first call (``gateway``).
"""

import re
from typing import Any

FIELDS = {
    "max_tokens": (
        "max_completion_tokens", "max_new_tokens", "max_output_tokens", "max_tokens_to_sample", "max_length",
        "num_predict", "n_predict", "max_gen_len", "max_token_count", "max_tokens_to_generate",
    ),
    "completions": ("n", "best_of", "num_return_sequences", "candidate_count", "num_beams", "num_generations",
                    "number_of_generations", "num_samples"),
    "temperature": (),
    "model": (
        "custom_llm_provider", "deployment_id", "model_list", "fallbacks", "context_window_fallback_dict",
        "base_model", "model_alias_map", "models", "route", "provider",
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
"""Fields of a generator, and the parameters of litellm and of providers that they replace."""
CONTAINER = "write the fields that it holds under params themselves; they reach the provider as they are"
SEARCH = "answers are an LLM's own, and searches cost extra"
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
    "extra_body": CONTAINER,
    "inference_config": CONTAINER,
    "options": CONTAINER,
    "generation_config": CONTAINER,
    "parameters": CONTAINER,
    "min_tokens": "an answer ends where the LLM ends it",
    "ignore_eos": "an answer ends where the LLM ends it",
    "extra_query": "nothing is added to an address",
    "drop_params": "a parameter that is left out could be the limit of an answer",
    "additional_drop_params": "a parameter that is left out could be the limit of an answer",
    "allowed_openai_params": "parameters are passed on as they are",
    "modalities": "answers are texts",
    "audio": "answers are texts",
    "prediction": "answers are texts",
    "include_server_side_tool_invocations": "answers are an LLM's own, and tools cost extra",
    "web_search_options": SEARCH,
    "web_search": SEARCH,
    "google_search": SEARCH,
    "enable_search": SEARCH,
    "search_parameters": SEARCH,
    "plugins": "answers are an LLM's own, and plugins cost extra",
    "cache": "calls are kept in a journal",
    "caching": "calls are kept in a journal",
    "callbacks": "nothing is told to anybody else",
    "success_callback": "nothing is told to anybody else",
    "failure_callback": "nothing is told to anybody else",
    "metadata": "nothing is told to anybody else",
}
"""Parameters that no field replaces, and why they are refused."""
PLACES = re.compile(r"(?:^|_)(?:region|region_name|location|project|project_id|account_id|tenant|api_version)$")
"""Parameters that providers insert into a host name or a path."""
PLAIN = re.compile(r"[A-Za-z0-9][\w.-]*")
ADDRESSES = re.compile(r"(?:^|_)(?:url|uri|host|hosts|endpoint|endpoint_url|proxy|proxies|api_base|base_url)$")


def _letters(name: str) -> str:
    """The letters and digits of a name: ``maxTokens``, ``max-tokens`` and ``MAX_TOKENS`` are one parameter."""
    return re.sub("[^a-z0-9]", "", name.lower())


FREE = {_letters(name) for name in ("guided_json", "structured_outputs", "chat_template_kwargs", "logit_bias")}
"""Parameters that contain names chosen by the user: of a schema, of a prompt template, of tokens."""
THOUGHTS = {
    "budgettokens", "thinkingbudget", "thinkingtokenbudget", "reasoningbudget", "maxthinkingtokens",
    "maxreasoningtokens",
}  # fmt: skip
"""Budgets for reasoning. Providers count reasoning tokens as part of the answer, and may exceed its limit for them."""

_field_of = {_letters(other): field for field, others in FIELDS.items() for other in (field, *others)}
_otherwise = {_letters(name): why for name, why in OTHERWISE.items()}


def complaint_about(name: str, value: Any, max_tokens: int | None = None) -> str | None:
    """Why ``params`` may not contain a parameter, or one within it; null if it may.

    ``max_tokens`` is the generator's field, which also limits reasoning.
    """
    known, snake = _letters(name), re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    if field := _field_of.get(known):
        return f"write it as the generator's field {field}" if field == name else f"use the generator's field {field}"
    if known in _otherwise:
        return _otherwise[known]
    if known in THOUGHTS:
        return _complaint_about_thoughts(value, max_tokens)
    if ADDRESSES.search(snake):
        return "only the generator's field api_base names an address"
    if PLACES.search(snake) and not (isinstance(value, str | int) and PLAIN.fullmatch(str(value))):
        return "must be a plain name: letters, digits, '.', '_' and '-'"
    return None if known in FREE else _complaint_within(value, max_tokens, limits_thoughts=known == "reasoning")


def _complaint_within(value: Any, max_tokens: int | None, *, limits_thoughts: bool = False) -> str | None:
    if isinstance(value, list | tuple):
        return next(filter(None, (_complaint_within(item, max_tokens) for item in value)), None)
    for name, item in value.items() if isinstance(value, dict) else ():
        if limits_thoughts and _letters(str(name)) == "maxtokens":
            why = _complaint_about_thoughts(item, max_tokens)
        else:
            why = complaint_about(str(name), item, max_tokens)
        if why:
            return f"{name} in it: {why}"
    return None


def _complaint_about_thoughts(value: Any, max_tokens: int | None) -> str | None:
    if isinstance(value, int) and max_tokens is not None and value <= max_tokens:
        return None
    return "reasoning is part of the answer; set the generator's field max_tokens to this number or more"
