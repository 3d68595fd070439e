"""One call that shows whether an LLM is there, paid from the ledger."""

import pytest

from tasks.config import GeneratorConfig
from tasks.discovery.ping import ping_model
from tasks.errors import GoneError, RunError
from tasks.llm.calls import Answer, Completion
from tasks.llm.ledger import Ledger

LLM = GeneratorConfig(model="openai/gpt-4o-mini")


async def answers(request: object) -> Completion:
    return Completion((Answer("Hello!", "stop"),), "gpt-4o-mini", 9, 2, 0.25)


async def gone(request: object) -> Completion:
    raise GoneError("404", LLM.model)


def test_an_answer_is_paid_for(tmp_path) -> None:
    ledger = Ledger(tmp_path / "ledger.json", 1.0)
    ping_model(LLM, ledger, answers)
    assert ledger.spent_usd == 0.25


def test_nobody_there_is_told_and_costs_nothing(tmp_path) -> None:
    ledger = Ledger(tmp_path / "ledger.json", 1.0)
    with pytest.raises(GoneError):
        ping_model(LLM, ledger, gone)
    assert ledger.spent_usd == 0
    assert "reserved" in ledger.path.read_text() and LLM.model not in ledger.path.read_text()


def test_a_month_that_is_used_up_asks_nobody(tmp_path) -> None:
    with pytest.raises(RunError, match=r"budget of \$0 is reached") as refusal:
        ping_model(LLM, Ledger(tmp_path / "ledger.json", 0.0), answers)
    assert not isinstance(refusal.value, GoneError)


def test_an_endpoint_that_says_404_is_gone(serve) -> None:
    endpoint = serve((404, {}, {"error": {"message": "The model does not exist", "code": "model_not_found"}}))
    served = GeneratorConfig(model="openai/gone", api_base=endpoint.url)
    with pytest.raises(GoneError, match=r"does not serve this model, or not any more \(status 404\)") as refusal:
        ping_model(served, None)
    assert refusal.value.model == "openai/gone"
    assert len(endpoint.bodies) == 1
