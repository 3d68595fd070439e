"""The numbers of the paper beside those of this study."""

from tasks.analysis.subjectivity.paper import Published, beside
from tasks.modes import MATCHED_REAL
from tasks.phrases import about, listed, points
from tasks.records import Comparison, Interval, short
from tasks.reporting.grouping import Scored, in_order, titles
from tasks.reporting.modes import mode_name
from tasks.reporting.results import Results
from tasks.reporting.section import Section


def published(results: Results) -> list[tuple[Published, list[tuple[Comparison, Interval]]]]:
    """The paper's numbers, each with the comparisons of the same task and mode and their accuracy."""
    found = []
    for number in in_order(results, results.paper):
        rows = [row for row in results.comparisons if (row.task, row.mode) == (number.task, number.mode)]
        ours = [(row, row.accuracy) for row in rows if row.accuracy]
        if ours:
            found.append((number, ours))
    return found


def losses(results: Results) -> list[str]:
    """The loss of the paper and the loss of this study, for each task and mode that both have."""
    found: dict[tuple[str, str | None], dict[str, tuple[float, list[Scored]]]] = {}
    for number, ours in published(results):
        found.setdefault((number.task, number.classifier), {})[number.mode] = (number.accuracy, ours)
    sentences = []
    for (task, classifier), modes in found.items():
        for mode in (mode for mode in modes if mode != MATCHED_REAL and MATCHED_REAL in modes):
            theirs = modes[MATCHED_REAL][0] - modes[mode][0]
            real = {row.classifier: accuracy.mean for row, accuracy in modes[MATCHED_REAL][1]}
            lost = [
                (short(row.classifier), real[row.classifier] - accuracy.mean)
                for row, accuracy in modes[mode][1]
                if row.classifier in real
            ]
            own = listed(
                [f"{_lost_or_won(loss)} ({name})" if len(lost) > 1 else _lost_or_won(loss) for name, loss in lost]
            )
            with_ = f" with {classifier}" if classifier else ""
            if own:
                title = titles(results).get(task, task)
                said = f"the paper {_lost_or_won(theirs)} of accuracy{with_}; this study {own}."
                sentences.append(about(title, f"{mode_name(mode)}: {said}"))
    return sentences


def _lost_or_won(loss: float) -> str:
    return f"{'lost' if loss >= 0 else 'won'} {points(loss)}"


SECTION = Section(
    name="paper",
    title="Comparison with the paper’s numbers",
    compute=lambda results, inputs: beside(results.comparisons),
    stored_in="paper",
    variables=lambda results: {"published": published(results), "lost": losses(results)},
)
