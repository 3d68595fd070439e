"""The best LLM and mode so far for each task, and the LLMs that were compared with it."""

from collections.abc import Iterable

from tasks.phrases import about, count, listed, signed_points
from tasks.records import Challenge, short
from tasks.reporting.grouping import in_order, titles
from tasks.reporting.modes import mode_name
from tasks.reporting.results import RegisteredModel, Results
from tasks.reporting.section import Section

WON = ("first", "better")


NAMED = 2
"""Up to so many challengers that did not win are named; more are counted."""


LOST = {"worse": "is worse", "undecided": "is neither clearly better nor worse"}
VERBS = {"better": "is better than", "worse": "is worse than", "undecided": "is neither clearly better nor worse than"}


def challenges(results: Results) -> list[Challenge]:
    """All challenges. Those over all modes of a task come before those of one mode."""
    return sorted(in_order(results, results.challenges), key=lambda row: row.mode != "")


def sentences(results: Results) -> list[str]:
    """For each task and classifier, the best generated training set now and what it was compared with."""
    overall: dict[tuple[str, str], list[Challenge]] = {}
    for row in challenges(results):
        if not row.mode:
            overall.setdefault((row.task, row.classifier), []).append(row)
    several = len({classifier for _, classifier in overall}) > 1
    found = []
    for (task, classifier), rows in overall.items():
        place = titles(results).get(task, task) + (f" ({short(classifier)})" if several else "")
        found.append(about(place, _of_task(rows)))
    return found + [_registered(model, results) for model in results.models]


def _of_task(rows: list[Challenge]) -> str:
    won = [row for row in rows if row.outcome in WON]
    lost = _lost(row for row in rows if row.outcome not in WON)
    if not won:
        return f"{champion(rows[0])} stays the best so far: {lost}."
    best = won[-1]
    if best.outcome == "first":
        return f"{challenger(best)} is the best so far; there was none before" + (f"; {lost}." if lost else ".")
    return f"{challenger(best)} is the best now. It {comparison(best)}" + (f"; {lost}." if lost else ".")


def _lost(rows: Iterable[Challenge]) -> str:
    losers = list(rows)
    if len(losers) <= NAMED:
        return listed([f"{challenger(row)} {LOST[row.outcome]}" for row in losers])
    outcomes = [row.outcome for row in losers]
    found = ((outcomes.count(outcome), outcome) for outcome in ("worse", "undecided"))
    return listed([f"{count(n, 'challenger')} {'are' if n > 1 else 'is'} {outcome}" for n, outcome in found if n])


def comparison(row: Challenge) -> str:
    """``is better than few-shot, gpt-4o by +3.1 points of macro-F1 (+0.8 to +5.2)``."""
    if row.outcome == "first":
        return "is the first"
    said = f"{VERBS[row.outcome]} {champion(row)}"
    gap = row.gap
    if gap is None:
        return f"{said}: {row.note}"
    interval = f"({signed_points(gap.low)} to {signed_points(gap.high)})"
    return f"{said}: {signed_points(gap.mean)} points of macro-F1 {interval}"


def challenger(row: Challenge) -> str:
    """Mode and LLM of the challenger, as in the rest of the report; marked if the LLM is no longer served."""
    return _named(row.challenger, row)


def champion(row: Challenge) -> str:
    """Mode and LLM of the champion until now; empty if there was none."""
    return _named(row.champion, row) if row.champion else ""


def _named(writer: str, row: Challenge) -> str:
    *before, generator = writer.split(" · ")
    if before and not row.mode:
        before[0] = mode_name(before[0])
    name = ", ".join([*before, short(generator)])
    return f"{name} (no longer served)" if writer in row.retired else name


def _registered(model: RegisteredModel, results: Results) -> str:
    task = titles(results).get(model.task, model.task)
    same = f"predicts what its trial predicted on {100 * model.agreement:.1f}% of test rows"
    where = f"version {model.version} of {model.name} in MLflow's registry"
    return about(task, f"the best model is {where}; it {same}.")


def tags(results: Results) -> dict[str, str]:
    """``synthgap.challenge/<task>/<classifier>``: outcomes of the challenges over all modes, by challenger."""
    found: dict[str, list[str]] = {}
    for row in results.challenges:
        if not row.mode:
            place = f"synthgap.challenge/{row.task}/{row.classifier}"
            found.setdefault(place, []).append(f"{row.challenger}: {row.outcome}")
    return {place: "; ".join(said) for place, said in found.items()}


SECTION = Section(
    name="champions",
    title="The best LLM so far",
    heading="The best so far",
    sentences=sentences,
    variables=lambda results: {
        "challenges": challenges(results),
        "challenger": challenger,
        "champion": champion,
    },
    tags=tags,
)
