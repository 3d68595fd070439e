"""The throttle against simulated providers, on a clock of its own: hours pass in milliseconds."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tasks.llm import breaker, window
from tasks.llm.calls import UnwantedError
from tasks.llm.throttle import GivenUpError, Throttle


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of sleeping."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready:
            self.now = max(
                self.now, min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=0)
            )
        super()._run_once()


@dataclass
class Provider:
    """Answers after ``latency`` seconds; ``verdict(now, in_flight)`` says how: ok, refuse or fail."""

    verdict: Callable[[float, int], str]
    latency: float = 0.5
    retry_after: float | None = None
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def call(self, throttle: Throttle) -> bool:
        loop = asyncio.get_running_loop()
        async with throttle.permit(100) as permit:
            verdict = self.verdict(loop.time(), self.in_flight)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            await asyncio.sleep(self.latency if verdict == "ok" else 0.01)
            self.in_flight -= 1
            getattr(self, {"ok": "answered", "refuse": "refused", "fail": "failed"}[verdict]).append(loop.time())
            if verdict == "ok":
                permit.answered()
            elif verdict == "refuse":
                permit.refused(self.retry_after)
            else:
                permit.failed()
        return verdict == "ok"


def sliding(limit: int, seconds: float = 1.0) -> Callable[[float, int], str]:
    """A provider that accepts so many calls in any span of so many seconds."""
    accepted: deque[float] = deque()

    def verdict(now: float, _: int) -> str:
        while accepted and accepted[0] <= now - seconds:
            accepted.popleft()
        if len(accepted) >= limit:
            return "refuse"
        accepted.append(now)
        return "ok"

    return verdict


def work(provider: Provider, calls: int, **limits: int) -> float:
    """Have so many calls answered, refused ones again; returns the seconds that it took."""
    loop = SimulatedLoop()

    async def run() -> None:
        throttle = Throttle(clock=loop.time, **{"most": 64, **limits})

        async def one() -> None:
            while not await provider.call(throttle):
                pass

        await asyncio.gather(*(one() for _ in range(calls)))

    try:
        loop.run_until_complete(run())
        return loop.now
    finally:
        loop.close()


def test_an_unlimited_provider_gets_all_calls_at_once_within_a_few_rounds():
    provider = Provider(sliding(10**9))
    assert work(provider, 400, most=50) <= 400 / 50 * 0.5 * 1.25 + window.SPREAD * 0.5
    assert provider.most_in_flight == 50


def test_what_a_provider_bore_once_it_is_sent_at_once_the_next_time():
    loop = SimulatedLoop()

    async def run() -> float:
        throttle = Throttle(50, clock=loop.time)
        provider = Provider(sliding(10**9))
        await asyncio.gather(*(provider.call(throttle) for _ in range(400)))
        warm = loop.time()
        await asyncio.gather(*(provider.call(throttle) for _ in range(400)))
        return loop.time() - warm

    assert loop.run_until_complete(run()) == pytest.approx(400 / 50 * 0.5)
    loop.close()


@pytest.mark.parametrize("limit", [5, 20, 60])
@pytest.mark.parametrize("latency", [0.2, 0.5, 3.0])
def test_an_unannounced_rate_is_found_and_used(limit, latency):
    provider = Provider(sliding(limit), latency)
    work(provider, limit * 60, most=256)
    later = [when for when in provider.answered if 10 <= when < 50]
    assert len(later) >= 0.9 * limit * 40
    assert len(provider.refused) < 16 + 0.05 * limit * 60  # the first burst comes before anything is known


def test_a_limit_per_minute_is_kept_to_after_its_burst():
    provider = Provider(sliding(60, 60.0), latency=1.0)
    took = work(provider, 600)
    assert took < 600 * 1.1
    assert len(provider.refused) < 120  # half of them in the first burst, which shows nothing of the minute


def test_retry_after_holds_every_call_back():
    closed = Provider(lambda now, _: "refuse" if now < 0.005 else "ok", retry_after=7.0)
    work(closed, 100)
    assert min(closed.answered) >= 7.0


def test_a_provider_that_was_closed_for_a_moment_is_soon_at_full_speed_again():
    provider = Provider(lambda now, _: "refuse" if now < 1.5 else "ok")
    assert work(provider, 400) < 1.5 + 10
    assert len(provider.refused) < 16 + 3


def test_the_first_refusal_is_heard_before_a_doubled_round_is_sent():
    provider = Provider(sliding(20))
    work(provider, 600)
    assert len(provider.refused) < 0.03 * 600


def test_a_faster_provider_is_noticed():
    slow, fast = sliding(5), sliding(40)
    provider = Provider(lambda now, n: slow(now, n) if now < 60 else fast(now, n))
    work(provider, 2000, most=256)
    assert max(provider.answered) < 60 + 2000 / 40 * 1.6


def test_failures_halve_what_is_in_flight():
    provider = Provider(lambda _, in_flight: "fail" if in_flight >= 10 else "ok")
    work(provider, 300)
    assert len(provider.failed) < 60


def test_a_dead_provider_is_left_alone_and_taken_up_again():
    provider = Provider(lambda now, _: "fail" if 1 <= now < 300 else "ok", latency=0.1)
    work(provider, 2000)
    assert len([when for when in provider.failed if 2 < when < 300]) < 20
    assert min(when for when in provider.answered if when > 300) < 300 + breaker.LONGEST_PAUSE + 1


def test_known_limits_are_kept_from_the_start():
    provider = Provider(sliding(10**9), latency=0.1)
    assert work(provider, 31, requests_per_minute=60) == pytest.approx(30.1, abs=0.5)
    provider = Provider(sliding(10**9), latency=0.1)
    assert work(provider, 40, tokens_per_minute=1000) == pytest.approx(180, abs=10)


def test_a_cancelled_call_gives_its_place_back():
    loop = SimulatedLoop()

    async def run() -> None:
        throttle = Throttle(1, clock=loop.time)
        provider = Provider(sliding(10**9))
        first, second = (asyncio.create_task(provider.call(throttle)) for _ in range(2))
        await asyncio.sleep(0.1)
        second.cancel()
        first.cancel()
        assert await provider.call(throttle)

    loop.run_until_complete(run())
    loop.close()


def test_calls_that_nobody_wants_when_their_turn_comes_are_not_made_and_hold_nobody_up():
    loop = SimulatedLoop()

    async def run() -> None:
        throttle = Throttle(1, requests_per_minute=2, clock=loop.time)
        wanted = True

        async def call() -> None:
            async with throttle.permit(1, lambda: wanted):
                await asyncio.sleep(0.1)

        calls = [asyncio.create_task(call()) for _ in range(20)]
        await asyncio.sleep(5)
        wanted = False
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert ended[0] is None and all(isinstance(error, UnwantedError) for error in ended[1:])

    loop.run_until_complete(run())
    assert loop.now < 31  # the one that was next at the limit; the others do not wait for it
    loop.close()


def test_calls_that_wait_for_a_provider_that_is_given_up_are_not_made():
    loop = SimulatedLoop()

    async def run() -> None:
        throttle = Throttle(1, clock=loop.time)
        provider = Provider(sliding(10**9))
        calls = [asyncio.create_task(provider.call(throttle)) for _ in range(4)]
        await asyncio.sleep(0.1)
        throttle.give_up("it is dead")
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert ended[0] is True and all(isinstance(error, GivenUpError) for error in ended[1:])
        assert await provider.call(throttle)  # a later one is tried

    loop.run_until_complete(run())
    loop.close()


@pytest.mark.parametrize(
    ("verdict", "what"),
    [("refuse", "lab, which refuses calls (429)"), ("fail", "lab, which failed 10 times in a row")],
)
def test_a_long_wait_for_a_provider_says_why(verdict, what, caplog):
    loop = SimulatedLoop()

    async def run() -> None:
        throttle = Throttle(64, clock=loop.time, name="lab")
        provider = Provider(lambda now, _: verdict if now < 100 else "ok", retry_after=45.0)

        async def one() -> None:
            while not await provider.call(throttle):
                pass

        await asyncio.gather(*(one() for _ in range(30)))

    loop.run_until_complete(run())
    loop.close()
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("waiting for")]
    assert 1 <= len(said) <= 5 and all(message.startswith(f"waiting for {what[:10]}") for message in said)
    assert any(what in message or "times in a row" in message for message in said)
