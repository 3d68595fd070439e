"""The automation that ends dead runs. That for new LLMs is tested with the watches."""

from datetime import timedelta

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

from flows.operations.automations import SILENCE_S, dead_runs_automation


def test_a_run_is_found_dead_after_three_heartbeats_and_not_while_it_waits() -> None:
    automation = dead_runs_automation()
    assert automation.trigger.within == timedelta(seconds=SILENCE_S)
    assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() * 3 <= SILENCE_S
    assert "prefect.flow-run.AwaitingRetry" in automation.trigger.expect
