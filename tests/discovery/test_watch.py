"""What a watch makes of what providers list."""

from dataclasses import asdict, replace

import pytest

from tasks.config import GeneratorConfig
from tasks.discovery.memory import Known, everyone, recall, remember
from tasks.discovery.watch import MOST_ATTEMPTS, ProviderCheck
from tasks.errors import GoneError, RunError
from tasks.planning.unmade import expected_synthesis
from tests.discovery.conftest import SAMPLE, World


def models(found: list[Known]) -> list[str]:
    return [known.model for known in found]


def gone(generator: GeneratorConfig) -> None:
    raise GoneError(f"{generator.model} failed: 404", generator.model)


def trigger(world: World, found: ProviderCheck) -> None:
    for known in found.ready:
        remember(world.store, replace(known, status="triggered"))


def test_a_new_llm_is_tried_and_ready_once(world: World) -> None:
    world.listed = {"openai": ["openai/a"]}
    first = world.look()
    assert models(first.ready) == world.tried == ["openai/a"]
    trigger(world, first)
    again = world.look()
    assert again.ready == again.failed == []
    assert world.tried == ["openai/a"]


def test_one_whose_trigger_got_lost_is_ready_again_without_another_try(world: World) -> None:
    world.listed = {"openai": ["openai/a"]}
    world.look()
    assert models(world.look().ready) == world.tried == ["openai/a"]


def test_llms_of_earlier_studies_are_not_new(world: World) -> None:
    studied = replace(expected_synthesis(SAMPLE), generator="openai/old", key="k")
    world.store.put("syntheses", "k", {"synthesis": asdict(studied)})
    world.listed = {"openai": ["openai/old", "openai/new"]}
    assert models(world.look().ready) == ["openai/new"]


@pytest.mark.parametrize("answer", [RunError("status 503"), []])
def test_a_silent_or_empty_provider_retires_nobody(world: World, answer: RunError | list[str]) -> None:
    world.listed = {"openai": ["openai/a"]}
    trigger(world, world.look())
    world.asks = gone
    world.listed = {"openai": answer if answer else RunError("provider 'openai' lists no models")}
    found = world.look()
    assert found.retired == []
    assert found.silent.keys() == {"openai"}
    assert world.asked == []
    assert recall(world.store, "openai/a").status == "triggered"


def test_an_llm_that_is_not_listed_and_gone_is_retired_and_stays_known(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/b"]}
    trigger(world, world.look())
    world.listed = {"openai": ["openai/b"]}
    world.asks = gone
    assert models(world.look().retired) == ["openai/a"]
    assert recall(world.store, "openai/a").note == "openai/a failed: 404"
    world.listed = {"openai": ["openai/a", "openai/b"]}  # it is listed again, but a call says otherwise
    found = world.look()
    assert (found.ready, list(found.passed_over)) == ([], ["openai/a"])
    assert "it was retired, is listed again and does not answer" in found.passed_over["openai/a"]
    assert recall(world.store, "openai/a").status == "retired"


def test_a_retired_one_that_is_listed_and_answers_again_comes_back_by_itself(world: World) -> None:
    remember(world.store, Known("openai/a", "openai", "retired", "2026-10-01", note="404"))
    world.listed = {"openai": ["openai/a"]}
    found = world.look()
    assert (models(found.ready), world.asked, world.tried) == (["openai/a"], ["openai/a"], [])
    trigger(world, found)
    assert world.look().ready == []
    world.listed = {"openai": ["openai/b"]}
    world.asks = gone
    assert models(world.look().retired) == ["openai/a"]  # and may go again


def test_one_that_a_pattern_hides_is_not_missed(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/b"]}
    trigger(world, world.look())
    world.listed = {"openai": ["openai/b"]}
    hiding = [{"name": "openai", "exclude": ["a"]}]
    assert world.look(providers=hiding).retired == []
    assert world.asked == []


def test_a_study_that_the_budget_stopped_waits_for_the_next_month(world: World) -> None:
    why = "the budget of $10 is reached"
    remember(world.store, Known("openai/a", "openai", "stopped", world.now, note=why))
    world.listed = {"openai": ["openai/a"]}
    found = world.look()
    assert (found.ready, models(found.waiting), found.headline) == ([], ["openai/a"], "1 LLM listed; 1 waiting")
    [row] = found.table()
    assert (row["LLM"], row["outcome"]) == ("openai/a", "waiting")
    assert row["why"] == f"{why}; start the deployment newcomer to continue now"
    world.now = "2026-12-01T06:00:00+00:00"
    [row] = world.look().table()
    assert (row["outcome"], row["why"]) == ("ready", "its study goes on")
    assert world.tried == world.asked == []


def test_a_study_that_a_failure_broke_off_goes_on_at_the_next_look_but_not_for_ever(world: World) -> None:
    remember(world.store, Known("openai/a", "openai", "broken", world.now, MOST_ATTEMPTS - 1, "status 503"))
    world.listed = {"openai": ["openai/a"]}
    assert models(world.look().ready) == ["openai/a"]
    remember(world.store, Known("openai/a", "openai", "broken", world.now, MOST_ATTEMPTS, "status 503"))
    found = world.look()
    assert (found.ready, models(found.waiting)) == ([], ["openai/a"])


def test_one_that_failed_at_an_address_that_is_not_asked_any_more_starts_anew(world: World) -> None:
    remember(world.store, Known("openai/a", "http://wrong/v1", "failed", world.now, MOST_ATTEMPTS, "404"))
    world.listed = {"openai": ["openai/a"]}
    assert models(world.look().ready) == ["openai/a"]
    assert recall(world.store, "openai/a").attempts == 1


def test_an_llm_that_is_not_listed_but_answers_is_not_retired(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/b"]}
    trigger(world, world.look())
    world.listed = {"openai": ["openai/b"]}
    assert world.look().retired == []
    assert world.asked == ["openai/a"]


def test_an_outage_is_not_retirement(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/b"]}
    trigger(world, world.look())
    world.listed = {"openai": ["openai/b"]}

    def down(_: object) -> None:
        raise RunError("cannot be reached")

    world.asks = down
    assert world.look().retired == []


def test_another_providers_llm_is_never_missed_in_this_ones_list(world: World) -> None:
    world.listed = {"openai": ["openai/a"], "anthropic": ["anthropic/c"]}
    trigger(world, world.look())
    world.look()
    assert world.asked == []


def test_a_dear_or_unpriced_llm_is_passed_over_with_the_reason_and_forgotten(world: World) -> None:
    world.listed = {"openai": ["openai/gpt-4o", "openai/nobody-knows"]}
    found = world.look(most_usd_per_million=1, unknown_prices=False)
    assert world.tried == []
    assert "$10 per million tokens is over most_usd_per_million 1" in found.passed_over["openai/gpt-4o"]
    assert "unknown" in found.passed_over["openai/nobody-knows"]
    assert list(everyone(world.store)) == []
    assert models(world.look(most_usd_per_million=None).ready) == ["openai/gpt-4o", "openai/nobody-knows"]


def test_no_more_are_taken_up_at_one_look_than_allowed(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/b", "openai/c"]}
    found = world.look(most_new=2)
    assert len(found.ready) == 2
    assert list(found.passed_over) == ["openai/c"]


def test_an_llm_that_writes_nothing_usable_fails_is_tried_again_and_given_up(world: World) -> None:
    world.listed = {"openai": ["openai/a"]}
    world.writes = lambda job: replace(expected_synthesis(job), label_counts={"ham": 2, "spam": 0})
    [failed] = world.look().failed
    assert "'spam'" in failed.note
    for _ in range(MOST_ATTEMPTS + 2):
        world.look()
    assert len(world.tried) == MOST_ATTEMPTS
    assert recall(world.store, "openai/a").attempts == MOST_ATTEMPTS


def test_an_error_in_one_llm_does_not_keep_back_the_next(world: World) -> None:
    def write(job):
        if job.generator.model == "openai/a":
            raise RunError("the provider refuses the API key")
        return expected_synthesis(job)

    world.listed, world.writes = {"openai": ["openai/a", "openai/b"]}, write
    found = world.look()
    assert (models(found.failed), models(found.ready)) == (["openai/a"], ["openai/b"])
    assert found.failed[0].note == "the provider refuses the API key"


def test_a_smoke_test_asks_for_few_rows(world: World) -> None:
    rows = []

    def write(job):
        rows.append(job.rows_per_label)
        return expected_synthesis(job)

    world.listed, world.writes = {"openai": ["openai/a"]}, write
    world.look(smoke_rows_per_label=3)
    assert rows == [3]


def test_labels_with_few_real_rows_are_tried_with_few_rows_too(world: World) -> None:
    rows = []

    def write(job):
        rows.append(job.rows)
        return expected_synthesis(job)

    world.listed, world.writes = {"openai": ["openai/a"]}, write
    world.sample = replace(SAMPLE, fewer={"ham": 1, "spam": 20})
    world.look(smoke_rows_per_label=3)
    assert rows == [{"ham": 1, "spam": 3}]


def test_a_budget_that_is_used_up_says_nothing_about_an_llm(world: World) -> None:
    def write(job):
        return replace(expected_synthesis(job), label_counts={"ham": 1, "spam": 0}, stopped="the budget is reached")

    world.listed, world.writes = {"openai": ["openai/a"]}, write
    found = world.look()
    assert found.passed_over == {"openai/a": "the budget is reached"}
    assert (found.failed, recall(world.store, "openai/a")) == ([], None)
    world.writes = expected_synthesis
    assert models(world.look().ready) == ["openai/a"]


def test_a_look_is_a_table_with_reasons_and_one_line(world: World) -> None:
    world.listed = {"openai": ["openai/a", "openai/gpt-4o"], "anthropic": RunError("status 500")}
    found = world.look(unknown_prices=True, most_usd_per_million=1)
    assert [(row["LLM"], row["provider"], row["outcome"]) for row in found.table()] == [
        ("openai/a", "openai", "ready"),
        ("openai/gpt-4o", "", "passed over"),
        ("", "anthropic", "no answer"),
    ]
    assert found.table()[2]["why"] == "status 500"
    assert found.headline == "2 LLMs listed; 1 ready; 1 passed over; no answer from anthropic"
