"""The ledger: never passed, whoever spends, however it ends."""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config import GeneratorConfig, StudyConfig
from tasks.errors import RunError, UserError
from tasks.llm import book as books
from tasks.llm.calls import Answer, Completion, Request, UnwantedError
from tasks.llm.ledger import BudgetReachedError, Ledger, open_account, open_ledger, study_ledger
from tasks.llm.prices import Price, counted_price, price_notes
from tasks.llm.spending import Spending, worst_case
from tasks.settings import Settings
from tests.llm.test_journal import largest_file

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
        "import sys; from pathlib import Path; from tasks.llm.ledger import Ledger;"
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
            [held] = json.loads(ledger.path.read_text())["reserved"].values()  # one sum, however many calls
            assert held["attempts"] == 50 and held["usd"] == pytest.approx(50 * worst_case(REQUEST, PRICE))
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


WORST = worst_case(REQUEST, PRICE)
COMPLETION = Completion(ANSWER, "m", 10, 10, 20e-6)


def spend(ledger: Ledger, *ends: object, price: Price = PRICE, request: Request = REQUEST) -> list[object]:
    """Make a call for each end, one after the other; what each of them came to.

    An end is a completion, an error that ends the call, or a number of attempts whose answers are lost before one is
    answered.
    """

    async def call(spending: Spending, end: object) -> object:
        try:
            async with spending.payment(request) as payment:
                if isinstance(end, int):
                    for _ in range(end):
                        payment.lost()
                        await payment.reserve()
                elif isinstance(end, BaseException):
                    raise end
                payment.answered(end if isinstance(end, Completion) else COMPLETION)
        except BaseException as error:
            return error
        return None

    async def calls() -> list[object]:
        spending = Spending(ledger, price)
        outcomes = [await call(spending, end) for end in ends]
        await spending.settled()
        return outcomes

    return asyncio.run(calls())


def test_every_attempt_counts_and_the_answered_one_at_its_cost(tmp_path):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    assert spend(ledger, 3) == [None]
    booked = ledger.booked
    assert booked.usd == pytest.approx(3 * WORST + 20e-6)
    assert booked.estimated_usd == pytest.approx(3 * WORST)
    assert booked.tokens == 3 * 200 + 20 and booked.estimated_tokens == 600


def test_a_limit_stops_the_repeats_of_a_call(tmp_path):
    ledger = Ledger(tmp_path / "b.json", 2.5 * WORST)
    [error] = spend(ledger, 5)
    assert isinstance(error, BudgetReachedError)
    assert ledger.spent_usd == pytest.approx(2 * WORST)


@pytest.mark.parametrize("error", [RunError("refused"), UserError("wrong"), UnwantedError(), BudgetReachedError("all")])
def test_what_was_not_billed_is_given_back(error, tmp_path):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    assert spend(ledger, error) == [error]
    assert ledger.spent_usd == 0
    assert not json.loads(ledger.path.read_text())["reserved"]


@pytest.mark.parametrize("error", [KeyError("choices"), asyncio.CancelledError(), SystemExit(1), MemoryError()])
def test_whatever_else_ends_a_call_leaves_its_worst_case_spent_and_nothing_reserved(error, tmp_path):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    assert spend(ledger, error) == [error]
    assert ledger.booked.usd == ledger.booked.estimated_usd == pytest.approx(WORST)
    assert not json.loads(ledger.path.read_text())["reserved"]


def test_calls_that_are_cancelled_at_any_moment_leave_nothing_reserved(tmp_path):
    ledger = Ledger(tmp_path / "b.json", 1.0)

    async def call(spending: Spending) -> None:
        async with spending.payment(REQUEST) as payment:
            await asyncio.sleep(random.uniform(0, 0.01))
            payment.answered(COMPLETION)

    async def calls() -> None:
        spending = Spending(ledger, PRICE)
        for _ in range(40):
            tasks = [asyncio.create_task(call(spending)) for _ in range(5)]
            await asyncio.sleep(random.uniform(0, 0.01))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await spending.settled()

    asyncio.run(calls())
    assert not json.loads(ledger.path.read_text())["reserved"]
    assert ledger.spent_usd <= 200 * WORST


def test_a_cost_beyond_the_worst_case_is_booked_and_said(tmp_path, caplog):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    spend(ledger, Completion(ANSWER, "m", 10, 10, 0.5), Completion(ANSWER, "m", 10, 10, 0.25))
    assert ledger.spent_usd == 0.75
    assert caplog.text.count("cost $0.5, but its length and price allow at most $0.0002") == 1


CHILD = """
import os, sys
from pathlib import Path
from tasks.llm.ledger import Ledger
os.getpid = lambda: int(sys.argv[2])
Ledger(Path(sys.argv[1]), 1.0).reserve(0.3, 5)
"""


def test_what_a_dead_process_had_reserved_is_spent_even_where_its_number_is_in_use_again(tmp_path):
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "b.json"), str(os.getpid())], check=True)
    assert Ledger(tmp_path / "b.json", 1.0).booked.estimated_usd == pytest.approx(0.3)


def test_what_a_living_process_has_reserved_stays_reserved(tmp_path):
    path = tmp_path / "b.json"
    code = CHILD.replace("os.getpid = lambda: int(sys.argv[2])\n", "") + "print(flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        assert Ledger(path, 1.0).spent_usd == 0
        assert Ledger(path, 1.0).reserve(0.8) is None
        process.stdin.close()
    assert Ledger(path, 1.0).spent_usd == pytest.approx(0.3)


def test_who_waits_for_reservations_of_another_process_gives_up_in_the_end_and_says_why(tmp_path):
    path = tmp_path / "b.json"
    Ledger(path, 1.0).reserve(0.9)

    async def call() -> None:
        async with Spending(Ledger(path, 1.0), Price(0.001, 0.001), patience=0.2).payment(REQUEST):
            pass

    with pytest.raises(
        BudgetReachedError, match=rf"held for 0.2 s by calls that do not end \(process {os.getpid()} on"
    ):
        asyncio.run(call())


def test_a_ledger_of_the_first_version_is_read(tmp_path):
    book = {"spent_usd": 0.5, "tokens": 7, "reserved": {}, "unpriced": ["m"]}
    (tmp_path / "b.json").write_text(json.dumps(book))
    ledger = Ledger(tmp_path / "b.json", 1.0)
    assert ledger.spent_usd == 0.5 and not ledger.first_without_price("m")
    ledger.settle(ledger.reserve(0.1), 0.1, 3)
    assert ledger.booked.tokens == 10


@pytest.mark.parametrize("amount", ["NaN", "-5.0", '"0"', "Infinity", "null", "true", "[]"])
@pytest.mark.parametrize("field", ["spent_usd", "tokens", "usd", "time"])
def test_a_ledger_with_an_amount_that_is_none_is_damaged(tmp_path, field, amount):
    held = {"usd": 0.1, "tokens": 1, "pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
    book = {"spent_usd": 0.5, "tokens": 7, "reserved": {"r": held}}
    (held if field in held and field != "tokens" else book)[field] = "?"
    (tmp_path / "b.json").write_text(json.dumps(book).replace('"?"', amount))
    with pytest.raises(RunError, match="is damaged, so what was spent is unknown"):
        Ledger(tmp_path / "b.json", 1.0, 100).reserve(5.0)


@pytest.mark.parametrize("content", ["[" * 10**5, '{"a":' * 10**5, "[]", "1", '{"schema": true, "sum": ""}'])
def test_a_ledger_that_holds_something_else_is_damaged(tmp_path, content):
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(RunError, match="is damaged, so what was spent is unknown"):
        Ledger(tmp_path / "b.json", 1.0).reserve(0.1)


def test_the_copy_of_a_book_is_never_older_than_the_book(tmp_path, monkeypatch):
    replaced = []

    def noted(draft, path):
        replaced.append(Path(path).name)
        return replace(draft, path)

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", noted)
    Ledger(tmp_path / "b.json", 1.0).reserve(0.1)
    assert replaced == ["b.json.copy", "b.json"]


def test_what_was_counted_as_spent_does_not_come_back_when_its_call_ends(tmp_path):
    """Also where another reservation of the same process was made meanwhile, which holds."""
    ledger = Ledger(tmp_path / "b.json", 1.0)
    first = ledger.reserve(0.25)
    book = json.loads(ledger.path.read_text())
    [held] = book["reserved"].values()
    held |= {"host": "elsewhere", "time": time.time() - 2 * books.LONGEST_CALL}
    del book["sum"]
    ledger.path.write_bytes(books.sealed(json.dumps(book)))
    assert ledger.spent_usd == 0.25
    second = ledger.reserve(0.5)
    ledger.settle(first, 0.125, 1)
    assert ledger.reserve(0.25) is None  # .375 spent, .5 held
    ledger.settle(second, 0.0, 0)
    assert ledger.spent_usd == 0.375 and ledger.reserve(0.5)


def test_a_ledger_of_a_newer_version_is_refused_in_one_line(tmp_path):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    ledger.settle(ledger.reserve(0.5), 0.5, 1)
    text = ledger.path.read_text().rpartition(books.SUM)[0].replace('"schema": 2', '"schema": 3')
    ledger.path.write_bytes(books.sealed(text + "}"))
    with pytest.raises(RunError, match=r"b\.json' was written by a newer version of synthgap"):
        ledger.reserve(0.1)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_ledger_damaged_anywhere_never_counts_less_than_was_spent(data, tmp_path_factory):
    ledger = Ledger(tmp_path_factory.mktemp("damaged") / "b.json", 1.0)
    ledger.settle(ledger.reserve(0.25), 0.25, 11)
    ledger.settle(ledger.reserve(0.5), 0.375, 5)
    content = ledger.path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1) | st.just(content.index(b": 2,") + 2))
    broken = data.draw(
        st.sampled_from([b"", content[:place], content[:place] + b"7" + content[place + 1 :], content[place:]])
    )
    ledger.path.write_bytes(broken)
    assert ledger.spent_usd == 0.625
    ledger.settle(ledger.reserve(0.125), 0.125, 1)  # and is whole again
    assert ledger.path.with_name("b.json.copy").read_bytes() == ledger.path.read_bytes()
    ledger.path.write_bytes(broken)
    ledger.path.with_name("b.json.copy").write_bytes(broken)
    if broken != content:
        with pytest.raises(
            RunError, match=r"b\.json' is damaged, so what was spent is unknown.* remove it and 'b\.json\."
        ):
            ledger.reserve(0.01)


FREE = {"input": 0, "output": 0}


def capped(tmp_path: Path, **caps: object) -> Settings:
    return Settings(home=tmp_path, **caps)


@pytest.mark.parametrize("own", [None, 1.0, 100.0])
def test_no_study_passes_the_cap_of_whoever_operates_it(own, tmp_path):
    config = StudyConfig(name="s", tasks=("t",), modes=("real",), budget_usd=own)
    ledger = study_ledger(capped(tmp_path, most_usd=0.5), config, "run")
    assert ledger.reserve(0.4)
    with pytest.raises(BudgetReachedError, match=r"budget of \$0\.5, which SYNTHGAP_MOST_USD sets, is reached"):
        ledger.reserve(0.6)


def test_a_study_may_set_a_lower_limit_than_the_cap(tmp_path):
    ledger = open_account(capped(tmp_path, most_usd=0.5, most_tokens=100), "a", 0.1, 1000)
    with pytest.raises(BudgetReachedError, match=r"budget of \$0\.1 is reached"):
        ledger.reserve(0.2)
    with pytest.raises(BudgetReachedError, match=r"budget of 100 tokens, which SYNTHGAP_MOST_TOKENS sets"):
        ledger.reserve(0.0, 101)


def test_a_price_of_zero_in_a_study_does_not_pass_the_cap(tmp_path):
    generator = GeneratorConfig(model="openai/gpt-4o-mini", price=FREE)
    assert counted_price(generator, None, None) == Price(0, 0)
    listed = counted_price(generator, 1.0, None)
    assert listed and listed.tokens_out == pytest.approx(6e-7)
    request = Request(REQUEST.messages, generator, 100, 0)
    ledger = open_account(capped(tmp_path, most_usd=1.0), "a", None)
    spend(ledger, Completion(ANSWER, "m", 1000, 1000, 0.0), price=listed, request=request)
    assert ledger.spent_usd == pytest.approx(listed.of(1000, 1000))


@pytest.mark.parametrize("price", [None, FREE, {"input": 1, "output": 1}])
def test_a_cap_in_dollars_refuses_what_it_cannot_hold_unless_tokens_are_capped_too(price):
    generator = GeneratorConfig(model="openai/own", api_base="http://127.0.0.1:9/v1", price=price)
    with pytest.raises(UserError, match=r"'openai/own': litellm's table has no price .*SYNTHGAP_MOST_USD.*MOST_TOKENS"):
        counted_price(generator, 5.0, None)
    assert (counted_price(generator, 5.0, 1000) is None) is (price is None)


def test_a_plan_says_whose_dollars_nobody_can_count(tmp_path):
    names = ("embedded/smollm2-135m-instruct", "openai/gpt-4o-mini", "openai/own", "openai/own")
    asked = [GeneratorConfig(model=name) for name in names]
    [note] = price_notes(asked, 1.0, Settings(home=tmp_path))
    assert note.startswith("openai/own: its price is unknown, so budget_usd cannot be enforced")
    [note] = price_notes(asked, 1.0, capped(tmp_path, most_usd=1.0))
    assert "'openai/own'" in note and note.endswith("no call to it is made")
    assert price_notes(asked, None, Settings(home=tmp_path)) == []


@pytest.mark.parametrize("field", ["spent_usd", "tokens", "estimated_usd", "estimated_tokens", "reserved"])
def test_a_ledger_that_lacks_a_field_is_damaged(tmp_path, field):
    ledger = Ledger(tmp_path / "b.json", 1.0)
    ledger.settle(ledger.reserve(0.5), 0.5, 1)
    found = json.loads(ledger.path.read_text())
    del found[field], found["sum"]
    text = json.dumps(found)
    for path in (ledger.path, ledger.path.with_name("b.json.copy")):
        path.write_text(f'{text[:-1]}{books.SUM}"{books._check_sum(text)}"}}')
    with pytest.raises(RunError, match="is damaged, so what was spent is unknown"):
        ledger.reserve(0.1)
