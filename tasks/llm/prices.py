"""Prices and abilities of models, from the table inside litellm's package, without importing litellm.

A model that is not in the table has no price (null, never zero), and neither has one that the table lists as free: only
a study can say that. The price is that of the provider that is called, never that of the same name at another provider.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.config import GeneratorConfig
from tasks.errors import UserError
from tasks.llm.embedded import is_embedded
from tasks.settings import Settings

TABLE = "model_prices_and_context_window_backup.json"
READ = re.compile(r"(?:cache_creation_)?input_(?:token_cost|cost_per_token|cost_per_audio_token)(?:_\w+)?")
WRITTEN = re.compile(r"(?:output_cost_per_(?:token|reasoning_token|audio_token)|citation_cost_per_token)(?:_\w+)?")
"""Prices of a token, including those of longer prompts and caches."""
SERVICES = re.compile(r"_(?:batches|flex|priority|ultrafast|balanced|decisions)$")
"""Suffixes of prices for services other than the usual one, which a call must ask for (``service_tier``)."""
SEARCHING = ("tools", "web_search_options")
"""Parameters that let a model search the web, which costs by the query."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a token read and written, and the most that tokens and a call can cost."""

    tokens_in: float
    tokens_out: float
    highest_in: float = 0.0
    """Dollars for a token of a long prompt, or of one that is written to a cache, if that costs more."""
    highest_out: float = 0.0
    """The same for an answer that is long or contains reasoning."""
    call: float = 0.0
    """Dollars that a call may cost in addition to its tokens."""

    @property
    def free(self) -> bool:
        """Whether no call can cost anything."""
        return not (self.tokens_in or self.tokens_out or self.highest_in or self.highest_out or self.call)

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Usual cost of a number of tokens, in dollars."""
        return tokens_in * self.tokens_in + tokens_out * self.tokens_out

    def most(self, tokens_in: int, tokens_out: int) -> float:
        """Most dollars that a call with at most these tokens can cost."""
        read, written = max(self.tokens_in, self.highest_in), max(self.tokens_out, self.highest_out)
        return tokens_in * read + tokens_out * written + self.call

    def or_more(self, other: "Price") -> "Price":
        """The higher of two prices, in every component."""
        return Price(
            max(self.tokens_in, other.tokens_in),
            max(self.tokens_out, other.tokens_out),
            max(self.highest_in, other.highest_in),
            max(self.highest_out, other.highest_out),
            max(self.call, other.call),
        )


def price(generator: GeneratorConfig) -> Price | None:
    """The price of a generator: the study's, otherwise the table's; zero for the embedded LLM, null if unknown."""
    if generator.price:
        return Price(generator.price.input / 1e6, generator.price.output / 1e6)
    return listed_price(generator)


def listed_price(generator: GeneratorConfig) -> Price | None:
    """The price of a generator in the table, whatever the study says; null if there is none, or only zero."""
    if is_embedded(generator.model):
        return Price(0.0, 0.0)
    searches = any(name in generator.params for name in SEARCHING)
    return _listed(generator.model, searches, "service_tier" in generator.params)


def counted_price(generator: GeneratorConfig, cap_usd: float | None, cap_tokens: int | None) -> Price | None:
    """The price that a ledger uses. If the operator limits dollars, a study cannot state a lower price than the table.

    Raises ``UserError`` for a model that such a limit cannot cover.
    """
    own = price(generator)
    if cap_usd is None:
        return own
    listed = listed_price(generator)
    if listed is None and cap_tokens is None:
        raise UserError(
            f"generator {generator.model!r}: litellm's table has no price for it, so the cap of ${cap_usd:g} "
            "(SYNTHGAP_MOST_USD) cannot be enforced; name a model that has one, or set SYNTHGAP_MOST_TOKENS as well"
        )
    return own.or_more(listed) if own and listed else own or listed


def price_notes(asked: Iterable[GeneratorConfig], budget_usd: float | None, settings: Settings) -> list[str]:
    """A plan's notes about LLMs whose cost in dollars is unknown, one line each."""
    notes = []
    for generator in asked:
        try:
            known = counted_price(generator, settings.most_usd, settings.most_tokens)
        except UserError as error:
            notes.append(f"{error}; as it is, no call to it is made")
        else:
            if known is None and budget_usd is not None:
                notes.append(
                    f"{generator.model}: its price is unknown, so budget_usd cannot be enforced; its tokens are "
                    "counted: set budget_tokens, or its price, in the study"
                )
    return list(dict.fromkeys(notes))


@functools.cache
def _listed(model: str, searches: bool, any_service: bool) -> Price | None:
    """The table's price of a model, with or without web search, and perhaps for a more expensive service."""
    entry = next(_own_entries(model), None)
    if entry is None:
        return None
    tiers = [entry, *entry.get("tiered_pricing", [])]

    def usual(name: str) -> float:
        return next((float(tier[name]) for tier in tiers if tier.get(name)), 0.0)

    def highest(kind: re.Pattern[str]) -> float:
        named = [(name, value) for tier in tiers for name, value in tier.items() if kind.fullmatch(name) and value]
        return max(float(value) for name, value in named if any_service or not SERVICES.search(name))

    read, written = usual("input_cost_per_token"), usual("output_cost_per_token")
    if not read or not written:
        return None
    always_searches = entry.get("litellm_provider") == "perplexity" or "-search" in model
    queries = entry.get("search_context_cost_per_query") if searches or always_searches else None
    fees = [*(queries or {}).values(), entry.get("input_cost_per_request") or 0.0]
    return Price(read, written, highest(READ), highest(WRITTEN), max(map(float, fees)))


def takes_schema(model: str) -> bool:
    """Whether a model supports JSON schemas, by the table; the embedded LLM does."""
    return is_embedded(model) or any(entry.get("supports_response_schema") for entry in _entries(model))


def _own_entries(model: str) -> Iterator[dict[str, Any]]:
    """The table's entry of a model at the provider that is called; the table's name may lack the provider."""
    provider, _, name = model.partition("/")
    table = _table()[0]
    if model in table:
        yield table[model]
    named = rf"{re.escape(provider)}(?:[-_]\w.*)?"  # the table has both vertex_ai-language-models and vertex_ai
    if name in table and re.fullmatch(named, table[name].get("litellm_provider") or ""):
        yield table[name]


def _entries(model: str) -> Iterator[dict[str, Any]]:
    """The table's entry of a model, by its name with or without its provider."""
    for name in (model, model.partition("/")[2]):
        if name in _table()[0]:
            yield _table()[0][name]


def price_map() -> str:
    """Version and hash of the table of prices."""
    return f"litellm {importlib.metadata.version('litellm')} sha256:{price_map_hash()[:16]}"


def price_map_hash() -> str:
    """SHA-256 of that table's file, in hex."""
    return _table()[1]


@functools.cache
def _table() -> tuple[dict[str, Any], str]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}, "no table"
    content = (Path(spec.submodule_search_locations[0]) / TABLE).read_bytes()
    return json.loads(content), hashlib.sha256(content).hexdigest()
