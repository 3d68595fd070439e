"""What all tests share: the option that writes golden files anew, and a scripted LLM endpoint."""

from collections.abc import Callable, Iterator

import pytest

from tests.endpoint import Endpoint, Reply


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write golden prompts anew")


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--regenerate-golden"))


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    started: list[Endpoint] = []

    def start(*script: Reply) -> Endpoint:
        started.append(Endpoint(*script))
        return started[-1]

    yield start
    for endpoint in started:
        endpoint.server.shutdown()
