"""An OpenAI-compatible endpoint that misbehaves on purpose, in a process of its own: slow, busy, broken or wrong.

    python -m tests.provider --latency 0.5 --rate 20 --errors 0.1

Prints its URL and ends when its standard input does. Which fault a call meets depends on the call, on how often it was
asked and on ``--seed``; what an answer says depends on the call alone, so that a repeated call is given the same text.
``GET /stats`` tells what happened. ``GET /v1/models`` lists models, ``PUT /models`` says which, whether it tells, and
which of them are gone. A process of its own, because a client's CPU time must not hold the server's.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from tasks.records import content_key

MODEL = "openai/served-model"
"""What a generator calls it."""
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Behaviour:
    """Options of the endpoint. Shares are probabilities from 0 to 1."""

    port: int = 0
    """0 takes any."""
    seed: int = 0
    latency: float = 0.02
    """Median seconds to an answer."""
    spread: float = 0.0
    """Sigma of the latency's logarithm (lognormal); 0: it is constant."""
    rate: int = 0
    """Calls accepted in any one second, the others are refused (429); 0 sets no limit."""
    retry_after: float = 0.0
    """What a refusal says; 0: nothing."""
    slow_start: float = 0.0
    """Seconds from the first call on in which all get a 503."""
    faults_for: float = 0.0
    """Seconds from the first call on in which calls fail at the shares below; 0: always."""
    busy: float = 0.0
    """Share of calls refused (429)."""
    errors: float = 0.0
    """Share of calls answered by an error of the server (500)."""
    hangs: float = 0.0
    """Share of calls answered after ``hang`` seconds."""
    hang: float = 5.0
    resets: float = 0.0
    """Share of connections reset in the middle of an answer."""
    drops: float = 0.0
    """Share of connections reset before any byte of the answer."""
    truncated: float = 0.0
    """Share of answers whose JSON breaks off."""
    wrong_models: float = 0.0
    """Share of answers by another model."""
    no_choices: float = 0.0
    """Share of answers with an empty list of choices."""
    duplicates: float = 0.0
    """Share of texts that all are the same."""
    debris: float = 0.0
    """Share of texts that talk about the text."""
    refusals: float = 0.0
    """Share of texts that decline."""
    drips: float = 0.0
    """Share of answers of which a byte comes every ``drip`` seconds."""
    drip: float = 0.2
    gateways: float = 0.0
    """Share of answers that a proxy in front of the endpoint loses: it says 504 to a call that was answered."""
    empties: float = 0.0
    """Share of answers with a text of no length."""
    cuts: float = 0.0
    """Share of answers that ``max_tokens`` cuts off before a text begins."""
    silences: float = 0.0
    """Share of answers that do not say how many tokens they took."""
    zeros: float = 0.0
    """Share of answers that say they took none."""
    never: float = 0.0
    """Share of calls that are refused (429) whenever they are asked."""
    price_in: float = 1.0
    price_out: float = 2.0
    """What it bills, in dollars per million tokens."""


FAILURES = ("busy", "errors", "hangs", "resets", "drops", "truncated", "drips", "gateways")
"""Each attempt draws anew which of these it meets."""
LOST = ("hangs", "resets", "drops", "truncated", "drips", "gateways")
"""Those of them that are billed: the endpoint did its work."""
ODDITIES = ("wrong_models", "no_choices", "duplicates", "debris", "refusals", "empties", "cuts", "silences", "zeros")
"""A call always meets the same of these: they are answers, and billed."""

ADJECTIVES = (
    "old quiet green broken happy narrow heavy strange golden tired gentle wooden frozen crowded bitter clever dusty "
    "early famous hollow lonely modern noisy patient rusty silent sleepy sudden warm yellow"
)
NOUNS = (
    "teacher river window garden train doctor kitchen letter market bridge winter friend mountain office bicycle story "
    "neighbour camera island ticket farmer hospital guitar village sister engine library festival painter umbrella "
    "station butcher carpet lawyer musician harbour pencil sailor tower journey coffee candle blanket forest hammer "
    "captain mirror orchard palace rabbit student tailor uncle valley wedding cousin dinner elephant fountain hotel"
)
VERBS = (
    "finds follows carries paints remembers sells repairs forgets visits borrows watches promises studies cleans "
    "describes invites protects questions teaches welcomes breaks collects draws offers hides"
)
PLACES = (
    "under the stairs|behind the church|near the lake|on the roof|in the attic|across the street|at the corner|beside "
    "the road|inside the museum|along the coast|over the fence|in front of the school"
)
TIMES = (
    "this morning|after lunch|before midnight|on Sunday|every spring|once again|at last|without warning|for a whole "
    "year|since Tuesday|during the storm|all evening"
)
DEBRIS = "Sure, here is a text message that you asked for: "
REFUSAL = "I'm sorry, but I can't help with that."
REPEATED = "The very same words come back whoever asks for them and whenever they do."


def sentence(*key: object) -> str:
    """A plausible sentence, one of more than 10^18, by its key."""
    rng = random.Random(repr(key))
    things = [f"{rng.choice(ADJECTIVES.split())} {rng.choice(NOUNS.split())}" for _ in range(4)]
    verbs = [rng.choice(VERBS.split()) for _ in range(2)]
    place, when = rng.choice(PLACES.split("|")), rng.choice(TIMES.split("|"))
    return f"The {things[0]} {verbs[0]} a {things[1]} {place}, and my {things[2]} {verbs[1]} the {things[3]} {when}."


class Chooser:
    """Which fault of a table a draw meets, by the shares of each."""

    def __init__(self, behaviour: Behaviour, names: tuple[str, ...]) -> None:
        self._names = [*names, ""]
        shares = [float(getattr(behaviour, name)) for name in names]
        self._shares = [*shares, max(0.0, 1 - sum(shares))]

    def draw(self, rng: random.Random) -> str:
        """Its name, empty for none."""
        return rng.choices(self._names, self._shares)[0]


class Desk:
    """Answers calls and keeps count of them."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.counts: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """Successful answers of each call."""
        self.asked_of: Counter[str] = Counter()
        """Calls to each model."""
        self.listing: dict[str, Any] = {"status": 200, "models": [MODEL.removeprefix("openai/")], "gone": []}
        self.billed: Counter[str] = Counter()
        """Tokens of all answers that were made, whether or not they were heard."""
        self.refused_at: list[float] = []
        self.accepted_at: list[float] = []
        self.seconds = 0.0
        """From the first call to the last answer."""
        self.now = self.most_at_once = 0
        self._recent: deque[float] = deque()
        self._begun: float | None = None
        self._failures, self._oddities = Chooser(behaviour, FAILURES), Chooser(behaviour, ODDITIES)

    def verdict(self, key: str) -> str:
        """How this attempt goes: the name of a failure, empty for an answer."""
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        age = now - self._begun
        self.attempts[key] += 1
        if random.Random(f"{self.behaviour.seed} {key} never").random() < self.behaviour.never:
            return "busy"
        if age < self.behaviour.slow_start:
            return "slow_start"
        if self.behaviour.rate and not self._accepted(now):
            return "busy"
        if self.behaviour.faults_for and age > self.behaviour.faults_for:
            return ""
        return self._failures.draw(random.Random(f"{self.behaviour.seed} {key} {self.attempts[key]}"))

    def _accepted(self, now: float) -> bool:
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.behaviour.rate:
            self.refused_at.append(now - (self._begun or now))
            return False
        self._recent.append(now)
        self.accepted_at.append(now - (self._begun or now))
        return True

    async def wait(self, key: str, failure: str) -> None:
        """The time that an answer takes."""
        rng = random.Random(f"{self.behaviour.seed} {key} {self.attempts[key]} wait")
        spread = self.behaviour.spread
        factor = rng.lognormvariate(0, spread) if spread else 1.0
        await asyncio.sleep(self.behaviour.hang if failure == "hangs" else self.behaviour.latency * factor)

    def answer(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """The chat completion, odd or not; counted as given."""
        self.answered[key] += 1
        self.seconds = time.monotonic() - (self._begun or 0.0)
        odd = self._odd(key)
        self.counts[odd] += bool(odd)
        return self.made(key, body)

    def made(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """The chat completion, billed but perhaps never heard."""
        odd = self._odd(key)
        texts = [self._text(key, odd, number) for number in range(body.get("n") or 1)]
        tokens_in = sum(len(message["content"]) for message in body["messages"]) // 4
        most = len(texts) * body.get("max_tokens", 10**6)
        tokens_out = most if odd == "cuts" else min(most, sum(len(text) for text in texts) // 4)
        self.billed += Counter(prompt=tokens_in, completion=tokens_out)
        finish = "length" if odd == "cuts" else "stop"
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
            for i, text in enumerate(texts)
        ]
        usage = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }
        return {
            "id": f"chatcmpl-{self.counts['asked']}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "cheaper-model" if odd == "wrong_models" else body["model"],
            "choices": [] if odd == "no_choices" else choices,
            **({} if odd == "silences" else {"usage": dict.fromkeys(usage, 0) if odd == "zeros" else usage}),
        }

    def _odd(self, key: str) -> str:
        return self._oddities.draw(random.Random(f"{self.behaviour.seed} {key}"))

    def _text(self, key: str, odd: str, number: int) -> str:
        if odd == "duplicates":
            return REPEATED
        if odd == "refusals":
            return REFUSAL
        if odd in ("empties", "cuts"):
            return ""
        return (DEBRIS if odd == "debris" else "") + sentence(key, number)

    def stats(self) -> dict[str, Any]:
        """What happened so far."""
        return {
            "asked": self.counts["asked"],
            "answered": self.answered.total(),
            "refused": self.counts["busy"],
            "abandoned": self.counts["abandoned"],
            "failed": {name: self.counts[name] for name in ("slow_start", *FAILURES[1:])},
            "odd": {name: self.counts[name] for name in ODDITIES},
            "most_at_once": self.most_at_once,
            "repeated": self.answered.total() - len(self.answered),
            "answers": dict(self.answered),
            "asked_of": dict(self.asked_of),
            "billed_usd": (
                self.billed["prompt"] * self.behaviour.price_in + self.billed["completion"] * self.behaviour.price_out
            )
            / 1e6,
            "seconds": self.seconds,
            "accepted_at": self.accepted_at,
            "refused_at": self.refused_at,
        }


def call_key(messages: Any, seed: int | None) -> str:
    """What makes a call the same one: a journal's ``prompt`` and ``seed``."""
    return f"{content_key(messages)} {seed}"


def app(behaviour: Behaviour) -> Any:
    """The endpoint as an ASGI application."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    desk = Desk(behaviour)
    after = {"retry-after": f"{behaviour.retry_after:g}"} if behaviour.retry_after else {}
    refusals = {
        "busy": (429, after),
        "errors": (500, {}),
        "slow_start": (503, {}),
    }

    async def chat(request: Request) -> Response:
        body = await request.json()
        key = call_key(body["messages"], body.get("seed"))
        desk.counts["asked"] += 1
        desk.asked_of[body["model"]] += 1
        if body["model"] in desk.listing["gone"]:
            return JSONResponse({"error": {"message": "no such model", "code": "model_not_found"}}, 404)
        desk.now += 1
        desk.most_at_once = max(desk.most_at_once, desk.now)
        try:
            failure = desk.verdict(key)
            desk.counts[failure] += bool(failure)
            if failure in refusals:
                status, headers = refusals[failure]
                return JSONResponse({"error": {"message": failure, "code": failure}}, status, headers)
            await desk.wait(key, failure)
            if await request.is_disconnected():
                desk.counts["abandoned"] += 1
                desk.made(key, body)
                return Response()
            return _reply(key, body, failure, request)
        finally:
            desk.now -= 1

    def _reply(key: str, body: dict[str, Any], failure: str, request: Request) -> Response:
        if failure in LOST and failure != "hangs":
            whole = json.dumps(desk.made(key, body)).encode()
            half = whole[: len(whole) // 2]
            if failure == "gateways":
                return JSONResponse({"error": {"message": failure}}, 504)
            if failure == "drips":
                return StreamingResponse(dripping(whole), media_type="application/json")
            if failure == "truncated":
                return Response(half, media_type="application/json")
            return Reset(b"" if failure == "drops" else half, len(whole), request.state.transport)
        return JSONResponse(desk.answer(key, body))

    async def dripping(whole: bytes) -> AsyncIterator[bytes]:
        for i in range(len(whole)):
            yield whole[i : i + 1]
            await asyncio.sleep(behaviour.drip)

    class Reset(Response):
        """Half an answer or nothing, then a connection that is gone."""

        def __init__(self, half: bytes, length: int, transport: asyncio.Transport) -> None:
            super().__init__(half, headers={"content-length": str(length)}, media_type="application/json")
            self._transport = transport

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if self.body:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self.body, "more_body": True})
            linger = struct.pack("ii", 1, 0)  # closed with a time of 0 to linger, TCP resets
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
            await asyncio.sleep(0)

    async def models(request: Request) -> Response:
        if request.method == "PUT":
            desk.listing |= await request.json()
        elif desk.listing["status"] != 200:
            return JSONResponse({"error": {"message": "down"}}, desk.listing["status"])
        return JSONResponse({"object": "list", "data": [{"id": name} for name in desk.listing["models"]]})

    async def stats(_: Request) -> Response:
        return JSONResponse(desk.stats())

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/models", models, methods=["PUT"]),
            Route("/stats", stats, methods=["GET"]),
        ]
    )


def main() -> None:
    """Serve until standard input ends."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        """Hands a request its connection, to be reset."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.app_state = {**self.app_state, "transport": transport}
            super().connection_made(transport)

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for item in fields(Behaviour):
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    behaviour = Behaviour(**vars(parser.parse_args()))

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", behaviour.port))
    listener.listen(2048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    config = uvicorn.Config(app(behaviour), http=Protocol, log_level="critical", access_log=False, backlog=2048)
    uvicorn.Server(config).run(sockets=[listener])


@dataclass(frozen=True)
class Provider:
    """A running endpoint."""

    url: str
    """The ``api_base`` of a generator."""

    def stats(self) -> dict[str, Any]:
        """What happened so far."""
        with urlopen(f"{self.url.removesuffix('/v1')}/stats") as answer:
            value: dict[str, Any] = json.load(answer)
            return value

    def serve(self, *models: str, **change: Any) -> None:
        """List these models from now on; ``status`` is that of the list, ``gone`` are models that answer 404."""
        content = json.dumps({"models": models, **change}).encode()
        with urlopen(HttpRequest(f"{self.url.removesuffix('/v1')}/models", content, method="PUT")):
            pass


@contextlib.contextmanager
def provider(**options: float) -> Iterator[Provider]:
    """An endpoint with these options (see ``Behaviour``) while the block runs."""
    behaviour = asdict(Behaviour(**options))  # type: ignore[arg-type]
    arguments = [f"--{name.replace('_', '-')}={behaviour[name]}" for name in options]
    command = [sys.executable, "-m", "tests.provider", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin and process.stdout
        try:
            yield Provider(process.stdout.readline().strip())
        finally:
            process.stdin.close()


if __name__ == "__main__":
    main()
