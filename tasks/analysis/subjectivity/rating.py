"""How subjective the tasks of a study are: by the agreement of raters and by comparisons of tasks.

Everything is computed from records. To compute it again makes no LLM call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.analysis.statistics.intervals import mean_interval
from tasks.analysis.subjectivity.agreement import (
    Agreement,
    count_votes,
    fleiss_kappa,
    krippendorff_alpha,
    vote_agreement,
)
from tasks.analysis.subjectivity.association import DECIMALS
from tasks.analysis.subjectivity.ranking import Ranking, rank_tasks
from tasks.records import Interval, Judgement, Rating, TaskSubjectivity


def rate_tasks(
    tasks: Sequence[str],
    agreement: Mapping[str, Agreement],
    ratings: Mapping[str, Sequence[Rating]],
    judgements: Sequence[Judgement],
) -> tuple[TaskSubjectivity, ...]:
    """How subjective each task is, in the order of ``tasks``.

    Args:
        tasks: Names.
        agreement: By task, ``rater_agreement`` of the test rows; a task is missing if its data has no raters.
        ratings: By task, the annotators' votes on test rows; used if the data has no raters.
        judgements: Comparisons of tasks.

    Raises ``UserError`` for a judgement that compares a task with itself.

    """
    ranking = rank_tasks(tasks, judgements)
    measured = [
        _by_raters(task, agreement[task])
        if agreement.get(task)
        else _by_annotators(task, count_votes(ratings.get(task, ())))
        for task in tasks
    ]
    return _ranked([_compared(item, ranking) for item in measured])


def _by_raters(name: str, agreement: Agreement) -> TaskSubjectivity:
    """By the data's own raters. Their agreement is known, but not their votes."""
    mean, notes = _mean(agreement)
    notes.append("no alpha or kappa: the data states how many of its raters agree, not their votes")
    return TaskSubjectivity(name, "raters", len(agreement), mean_agreement=mean, note="; ".join(notes))


def _by_annotators(name: str, votes: Mapping[str, Mapping[str, int]]) -> TaskSubjectivity:
    if not votes:
        note = "no agreement: the data has no raters, and no annotators gave a test row two votes"
        return TaskSubjectivity(name, "", note=note)
    alpha, (kappa, left_out) = krippendorff_alpha(votes), fleiss_kappa(votes)
    mean, notes = _mean(vote_agreement(votes))
    if alpha is None:
        notes.append("no alpha or kappa: all votes name the same label")
    elif kappa is None:
        notes.append("no kappa: all votes that it can use name the same label")
    if left_out and kappa is not None:
        notes.append(f"kappa without {left_out} of {len(votes)} rows, which lack the vote of an annotator")
    raters = sum(sum(counts.values()) for counts in votes.values()) / len(votes)
    return TaskSubjectivity(name, "annotators", len(votes), raters, mean, alpha, kappa, note="; ".join(notes))


def _mean(agreement: Agreement) -> tuple[Interval | None, list[str]]:
    """Mean agreement over rows. Its interval covers the choice of rows, not the choice of raters."""
    found = mean_interval(list(agreement.values()))
    if found is None:
        return None, ["no mean agreement: only one row was rated, which gives no interval"]
    return Interval(found.mean, max(found.low, 0.0), min(found.high, 1.0)), []


def _compared(item: TaskSubjectivity, ranking: Ranking) -> TaskSubjectivity:
    strength = ranking.strengths.get(item.task)
    note = "" if strength else f"no strength: {ranking.note or 'this task was not compared with another'}"
    notes = "; ".join(filter(None, [item.note, note]))
    return replace(item, strength=strength, comparisons=ranking.comparisons[item.task], note=notes)


def _ranked(items: Sequence[TaskSubjectivity]) -> tuple[TaskSubjectivity, ...]:
    """The tasks with their ranks: by strength if any task has one, otherwise by agreement.

    One ranking cannot mix two scales. Equal tasks are ranked in the order of the study.
    """
    strengths = {item.task: item.strength.mean for item in items if item.strength}
    agreements = {item.task: -item.mean_agreement.mean for item in items if item.mean_agreement}
    by_task = strengths or agreements
    ordered = sorted(by_task, key=lambda task: round(by_task[task], DECIMALS))
    ranks = {task: rank for rank, task in enumerate(ordered, 1)}
    sources = {item.source for item in items if item.task in ranks}
    mixed = [] if strengths or len(sources) < 2 else ["another kind of raters rated other tasks of this ranking"]
    return tuple(
        replace(item, rank=ranks[item.task], note="; ".join(filter(None, [item.note, *mixed])))
        if item.task in ranks
        else item
        for item in items
    )
