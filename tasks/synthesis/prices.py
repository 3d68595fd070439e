"""What a token costs and what a model can do, from the table inside litellm's package, without importing litellm.

A model that the table lacks has no price: null, never zero.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.config import GeneratorConfig
from tasks.synthesis.embedded import is_embedded

TABLE = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per token read and written."""

    tokens_in: float
    tokens_out: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Dollars for so many tokens."""
        return tokens_in * self.tokens_in + tokens_out * self.tokens_out


def price(generator: GeneratorConfig) -> Price | None:
    """The price of a generator: the study's own, else the table's; zero for the embedded one, null when unknown."""
    if generator.price:
        return Price(generator.price.input / 1e6, generator.price.output / 1e6)
    if is_embedded(generator.model):
        return Price(0.0, 0.0)
    for entry in _entries(generator.model):
        if "input_cost_per_token" in entry and "output_cost_per_token" in entry:
            return Price(float(entry["input_cost_per_token"]), float(entry["output_cost_per_token"]))
    return None


def takes_schema(model: str) -> bool:
    """Whether a model answers by a JSON schema, as the table says; the embedded one does."""
    return is_embedded(model) or any(entry.get("supports_response_schema") for entry in _entries(model))


def _entries(model: str) -> Iterator[dict[str, Any]]:
    """What the table says of a model, by its name with and without its provider."""
    for name in (model, model.partition("/")[2]):
        if name in _table()[0]:
            yield _table()[0][name]


def price_map() -> str:
    """Version and hash of the table that prices came from."""
    return f"litellm {importlib.metadata.version('litellm')} sha256:{_table()[1][:16]}"


@functools.cache
def _table() -> tuple[dict[str, Any], str]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}, "no table"
    content = (Path(spec.submodule_search_locations[0]) / TABLE).read_bytes()
    return json.loads(content), hashlib.sha256(content).hexdigest()
