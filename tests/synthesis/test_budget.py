"""The ledger: never passed, whoever spends, however it ends."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.config import GeneratorConfig, StudyConfig
from tasks.errors import RunError
from tasks.settings import Settings
from tasks.synthesis.budget import BudgetReachedError, Ledger, Spending, open_ledger, study_ledger, worst_case
from tasks.synthesis.calls import Answer, Completion, Request
from tasks.synthesis.prices import Price
from tests.synthesis.test_journal import largest_file

PRICE = Price(1e-6, 1e-6)
ANSWER = (Answer("x", "stop"),)
REQUEST = Request(({"role": "user", "content": "x" * 84},), GeneratorConfig(model="m"), max_tokens=100, seed=0)


def test_the_worst_case_counts_every_byte_and_the_longest_answer():
    assert worst_case(REQUEST, PRICE) == pytest.approx((84 + 16 + 100) * 1e-6)


def test_what_is_reserved_counts_until_it_is_settled(tmp_path):
    ledger = Ledger(tmp_path / "book.json", 1.0)
    first = ledger.reserve(0.6)
    assert ledger.reserve(0.6) is None
    ledger.settle(first, 0.1, 50)
    assert ledger.reserve(0.6) is not None
    assert ledger.spent_usd == pytest.approx(0.1)


def test_a_spent_budget_is_reached(tmp_path):
    ledger = Ledger(tmp_path / "book.json", 1.0)
    ledger.settle(ledger.reserve(0.9), 0.9, 1)
    with pytest.raises(BudgetReachedError, match=r"the budget of \$1 is reached"):
        ledger.reserve(0.2)


def test_a_budget_of_nothing_buys_nothing(tmp_path):
    with pytest.raises(BudgetReachedError):
        Ledger(tmp_path / "book.json", 0.0).reserve(1e-9)


def test_no_limit_still_counts(tmp_path):
    ledger = Ledger(tmp_path / "book.json", None)
    ledger.settle(ledger.reserve(5.0), 5.0, 1)
    assert ledger.spent_usd == 5.0


def test_threads_together_never_pass_the_limit(tmp_path):
    def spend(_: int) -> int:
        ledger = Ledger(tmp_path / "book.json", 0.1)
        try:
            reservation = ledger.reserve(0.01)
        except BudgetReachedError:
            return 0
        if reservation:
            ledger.settle(reservation, 0.01, 1)
        return bool(reservation)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(spend, range(40))) <= 10
    assert Ledger(tmp_path / "book.json", 0.1).spent_usd <= 0.1 + 1e-12


def test_what_a_dead_process_had_reserved_is_spent(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tasks.synthesis.budget import Ledger;"
        "Ledger(Path(sys.argv[1]), 1.0).reserve(0.3)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.json")], check=True)
    assert json.loads((tmp_path / "b.json").read_text())["reserved"]
    assert Ledger(tmp_path / "b.json", 1.0).spent_usd == pytest.approx(0.3)


def test_a_full_disk_is_one_message_and_the_ledger_stays_as_it_was(tmp_path):
    ledger = open_ledger(Settings(home=tmp_path), "run", 10.0)
    ledger.settle(ledger.reserve(1.0), 0.5, 7)
    files = sorted(path.name for path in ledger.path.parent.iterdir())
    with largest_file(10), pytest.raises(RunError, match=r"cannot write the ledger .*free some space"):
        ledger.reserve(1.0)
    assert sorted(path.name for path in ledger.path.parent.iterdir()) == files
    assert ledger.spent_usd == 0.5 and ledger.reserve(9.5)


def test_runs_have_a_ledger_each(tmp_path):
    settings = Settings(home=tmp_path)
    assert open_ledger(settings, "run a", 1.0).path != open_ledger(settings, "run b", 1.0).path
    assert open_ledger(settings, "../../x", 1.0).path.parent == tmp_path / "budgets"


def test_calls_wait_for_the_last_of_the_budget_rather_than_stop(tmp_path):
    spending = Spending(Ledger(tmp_path / "book.json", 1.5 * worst_case(REQUEST, PRICE)), PRICE)

    async def call() -> None:
        async with spending.payment(REQUEST) as payment:
            await asyncio.sleep(0.02)
            payment.answered(Completion(ANSWER, "m", 1, 1, 1e-6))

    async def calls() -> None:
        await asyncio.gather(*(call() for _ in range(5)))
        await spending.settled()

    asyncio.run(calls())
    assert Ledger(tmp_path / "book.json", None).spent_usd == pytest.approx(5e-6)


def test_a_free_generator_needs_no_ledger(tmp_path):
    spending = Spending(Ledger(tmp_path / "book.json", 1.0), Price(0, 0))

    async def call() -> None:
        async with spending.payment(REQUEST) as payment:
            payment.answered(Completion(ANSWER, "m", 6, 5, 0.0))
        await spending.settled()

    asyncio.run(call())
    assert not spending.unenforceable
    assert not list(tmp_path.iterdir())


def test_tokens_are_a_limit_of_their_own_even_where_calls_are_free(tmp_path):
    most = REQUEST.most_tokens_in + REQUEST.most_tokens_out
    spending = Spending(Ledger(tmp_path / "book.json", None, most + 10), Price(0, 0))

    async def calls() -> None:
        async with spending.payment(REQUEST) as payment:
            payment.answered(Completion(ANSWER, "m", 6, 5, 0.0))
        with pytest.raises(BudgetReachedError, match=r"the budget of [\d,]+ tokens is reached"):
            async with spending.payment(REQUEST):
                pass

    asyncio.run(calls())


def test_changes_that_come_together_are_written_together(tmp_path):
    class Counting(Ledger):
        writes = 0

        def book(self, changes):
            self.writes += 1
            return super().book(changes)

    ledger = Counting(tmp_path / "book.json", 1.0)
    spending = Spending(ledger, PRICE)

    async def call() -> None:
        async with spending.payment(REQUEST) as payment:
            assert len(json.loads(ledger.path.read_text())["reserved"]) == 50
            payment.answered(Completion(ANSWER, "m", 1, 1, 1e-6))

    async def calls() -> None:
        await asyncio.gather(*(call() for _ in range(50)))
        await spending.settled()

    asyncio.run(calls())
    assert ledger.writes < 20
    assert ledger.spent_usd == pytest.approx(50e-6)


def test_a_model_without_a_price_is_new_once_in_a_run_and_model(tmp_path):
    book = tmp_path / "book.json"
    assert Ledger(book, 1.0).first_without_price("openai/own")
    assert not Ledger(book, 1.0).first_without_price("openai/own")
    assert Ledger(book, 1.0).first_without_price("openai/other")
    assert Ledger(tmp_path / "next.json", 1.0).first_without_price("openai/own")


def test_runs_of_one_account_spend_from_one_ledger(tmp_path: Path) -> None:
    def config(name: str, **fields: object) -> StudyConfig:
        return StudyConfig(name=name, tasks=("t",), modes=("real",), **fields)

    shared = {"account": "watch-w-2026-11", "budget_usd": 1.0}
    first, second = (study_ledger(Settings(home=tmp_path), config(name, **shared), f"run {name}") for name in "ab")
    first.settle(first.reserve(0.9), 0.9, 10)
    with pytest.raises(BudgetReachedError, match="1 is reached"):
        second.reserve(0.2)
    assert first.path.name == "watch-w-2026-11.json"
    alone = study_ledger(Settings(home=tmp_path), config("c", budget_usd=1.0), "run c")
    assert alone.reserve(0.2)


@pytest.mark.parametrize("account", ["../outside", "a/b", ""])
def test_an_account_is_a_plain_name(account: str) -> None:
    with pytest.raises(ValueError, match="account"):
        StudyConfig(name="s", tasks=("t",), modes=("real",), account=account)
