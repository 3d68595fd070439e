"""Records of parts of the grid that are not made yet or could not be made."""

from dataclasses import replace

from tasks.records import FilterCounts, Status, Synthesis, SynthesisJob


def expected_synthesis(job: SynthesisJob) -> Synthesis:
    """The record of a synthesis that is not made yet, with all rows that it asks for."""
    return _unmade_synthesis(job, "ok", None)


def failed_synthesis(job: SynthesisJob, error: str) -> Synthesis:
    """The record of a synthesis that could not be made."""
    return _unmade_synthesis(job, "failed", error)


def undescribed(synthesis: Synthesis, error: str) -> Synthesis:
    """A synthesis whose texts could not be measured, with the reason. Its rows can still be trained on."""
    return replace(synthesis, error=f"diversity and similarity could not be measured: {error}")


def _unmade_synthesis(job: SynthesisJob, status: Status, error: str | None) -> Synthesis:
    return Synthesis(
        key="",
        task=job.task.name,
        mode=job.mode,
        generator=job.generator.model,
        draw=job.draw,
        status=status,
        yields=FilterCounts(0, 0, 0, 0, 0, 0),
        label_counts=job.rows,
        tokens_in=0,
        tokens_out=0,
        cost_usd=None,
        seconds=0.0,
        error=error,
        source=job.source,
    )
