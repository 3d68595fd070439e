"""What is noted of LLMs that studies meet."""

import pytest

from tasks.config import GeneratorConfig, ProviderConfig
from tasks.discovery.memory import Known, everyone, mark_retired, noting_retired, recall, remember
from tasks.errors import GoneError, RunError
from tasks.records import Challenge
from tasks.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def lists(*models: str):
    """How a provider answers that serves these."""

    def list_(provider: ProviderConfig) -> tuple[GeneratorConfig, ...]:
        if not models:
            raise RunError(f"provider {provider.address!r} lists no models")
        return tuple(provider.generator(model) for model in models)

    return list_


def test_an_llm_that_a_study_finds_gone_is_retired_and_the_error_goes_on(store: Store) -> None:
    remember(store, Known("openai/a", "openai", "triggered", "2026-11-01"))
    with pytest.raises(GoneError), noting_retired(store, lists("openai/other")):
        raise GoneError("openai/a is not served", "openai/a")
    known = recall(store, "openai/a")
    assert (known.status, known.note, known.provider) == ("retired", "openai/a is not served", "openai")


def test_one_of_a_study_before_there_was_a_watch_is_retired_too(store: Store) -> None:
    store.put("syntheses", "k", {"synthesis": {"generator": "openai/old"}})
    with pytest.raises(GoneError), noting_retired(store, lists("openai/other")):
        raise GoneError("gone", "openai/old")
    assert recall(store, "openai/old").status == "retired"


@pytest.mark.parametrize("listed", [lists(), lists("openai/other", "openai/a")])
def test_an_address_that_lists_nothing_or_the_llm_itself_retires_nobody(store: Store, listed) -> None:
    remember(store, Known("openai/a", "http://mine/v1", "triggered", "2026-11-01"))
    with pytest.raises(GoneError), noting_retired(store, listed):
        raise GoneError("404", "openai/a", "http://mine/wrong")
    assert recall(store, "openai/a").status == "triggered"


def test_a_wrong_address_that_answers_404_to_everything_retires_nobody(store: Store, serve) -> None:
    remember(store, Known("openai/a", "", "studied", "2026-11-01"))
    wrong = serve((404, {}, {}))
    with pytest.raises(GoneError), noting_retired(store):
        raise GoneError("404", "openai/a", wrong.url)
    assert recall(store, "openai/a").status == "studied"


def test_a_name_that_never_was_is_not_remembered(store: Store) -> None:
    with pytest.raises(GoneError), noting_retired(store, lists("openai/other")):
        raise GoneError("404", "openai/gtp-4o")
    assert list(everyone(store)) == []


def test_a_challenge_shows_which_side_is_retired(store: Store) -> None:
    remember(store, Known("openai/old", "openai", "retired", "2026-11-01"))
    overall = Challenge("t", "", "c", "few_shot · openai/new", "zero_shot · openai/old", "better")
    inside = Challenge("t", "zero_shot", "c", "openai/old", None, "first")
    marks = [challenge.retired for challenge in mark_retired((overall, inside), store)]
    assert marks == [("zero_shot · openai/old",), ("openai/old",)]


def test_another_failure_says_nothing_about_retirement(store: Store) -> None:
    remember(store, Known("openai/a", "openai", "triggered", "2026-11-01"))
    with pytest.raises(RunError), noting_retired(store):
        raise RunError("status 503")
    assert recall(store, "openai/a").status == "triggered"
