"""``synthgap status`` without a server."""

from flows.operations import state
from flows.operations.status import shown, status_of
from tasks.settings import Settings
from tests.flows.operations.states import silent, up_state


def test_the_status_of_nothing_says_how_to_start(settings: Settings) -> None:
    found = status_of(settings)
    assert found["healthy"] is False and found["up"] is None and "quickstart" in found["studies"]
    assert "synthgap up" in shown(found)


def test_the_status_shows_a_service_that_does_not_answer_and_a_study_that_cannot_be_used(settings: Settings) -> None:
    state.write_state(up_state(services=(silent("prefect"),)), settings)
    (settings.home / "studies").mkdir()
    (settings.home / "studies" / "bad.yaml").write_text("name: bad\n")
    found = status_of(settings)
    assert found["healthy"] is False
    lines = shown(found).splitlines()
    assert any("prefect" in line and "DOES NOT ANSWER" in line for line in lines)
    assert any("bad.yaml" in line and "tasks" in line for line in lines)


def test_the_status_of_a_killed_supervisor_says_what_starts_it_again_and_what_ends_the_rest(settings: Settings) -> None:
    state.write_state(up_state(created=1.0), settings)
    headline = shown(status_of(settings)).splitlines()[0]
    assert "was killed" in headline and "`synthgap up`" in headline and "`synthgap down`" in headline
