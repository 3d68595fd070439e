"""What a report's figures and tables mean for the reader, in a sentence each, computed from the numbers.

A sentence is as sure as the intervals are: "clearly" needs an interval that leaves no doubt, and where there is none
the sentence says so. A section without numbers has no sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from tasks.records import short
from tasks.reporting import sections
from tasks.reporting.modes import BASELINES, MIX, all_synthetic, mixed, mode_name, outcome, place
from tasks.reporting.phrases import among, count, listed, points, sentence, signed, signed_points, times
from tasks.reporting.sections import Row

VARIED = {"remote_clique": 1, "chamfer": 1, "vendi": 1, "distinct_2": 1, "distinct_1": 1, "self_bleu": -1}
"""Measures of variety, and whether more of one means more varied texts."""
CLOSE = {"top_5": 1, "top5_to_real": 1, "top_5_back": 1, "mmd": -1, "auc": -1}
"""Measures of closeness to real texts, in the same way."""


def _modes(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["mode"], []).append(row)
    return found


def scores(results: Row) -> list[str]:
    """What each kind of synthetic rows costs, and how often that is within the tolerance."""
    found = _modes(row for row in results["comparisons"] if row["gap"] and all_synthetic(row))
    return [_cost(mode, rows, results["config"]["tolerance"]) for mode, rows in found.items()]


def _cost(mode: str, rows: Sequence[Row], tolerance: float) -> str:
    states: list[str] = [outcome(row, tolerance) for row in rows]
    middle = median(row["gap"]["mean"] for row in rows)
    much = f"{mode_name(mode)} rows {'cost' if middle < 0 else 'win'} {points(middle)} of macro-F1"
    if len(rows) == 1:
        words = {"yes": "within your tolerance", "no": "clearly beyond your tolerance", "undecided": "undecided"}
        return sentence(f"{much}: {words[states[0]]}")
    words = {"yes": "within your tolerance in {}", "no": "clearly beyond it in {}", "undecided": "undecided in {}"}
    if "yes" not in states:
        words["no"] = "clearly beyond your tolerance in {}"
    parts = [text.format(times(states.count(state), len(rows))) for state, text in words.items() if state in states]
    return sentence(f"{much} in the middle of {len(rows)} comparisons: {listed(parts)}")


def power(row: Row, results: Row) -> str:
    """What would decide an undecided comparison, where anything within reach would."""
    gap = row["gap"]
    if not gap or outcome(row, results["config"]["tolerance"]) != "undecided":
        return ""
    seeds, rows = gap.get("seeds_needed"), gap.get("test_rows_needed")
    tested = max((cell["n_test"] for cell in results["cells"] if cell["task"] == row["task"]), default=0)
    parts = [f"{seeds:,} seeds"] if seeds and seeds > len(row["seeds"]) else []
    parts += [f"{float(f'{rows:.2g}'):,.0f} test rows"] if rows and rows > tested else []
    return f"about {' or '.join(parts)} would decide" if parts else ""


def association(item: Row) -> str:
    """A correlation of gaps with subjectivity: what it says, with its interval, or why there is none."""
    found = item["spearman"]
    if not found:
        return item["note"] or "no correlation could be computed"
    numbers = f"Spearman {signed(found['value'])}, 95% {signed(found['low'])} to {signed(found['high'])}"
    if found["high"] < 0:
        meaning = "the more subjective the task, the larger the loss"
    elif found["low"] > 0:
        meaning = "the more subjective the task, the smaller the loss"
    else:
        lean = "larger" if found["value"] < 0 else "smaller"
        meaning = f"undecided: subjective tasks lean to {lean} losses, but the interval holds both directions"
    return f"{meaning} ({numbers}, {count(item['tasks'], 'task')})"


def correlations(results: Row) -> list[str]:
    """How gaps go with subjectivity, for each way to get training rows, on the axis that the report draws."""
    measure = sections.axis(results)
    rows = [row for row in sections.part(results, "correlations") if row["measure"] == measure]
    return [f"{place(row, results)}: {association(row)}." for row in rows]


def subjectivity(results: Row) -> str:
    """Which tasks stand at the two ends, and by what."""
    rated, names, titles = sections.rating(results), sections.task_names(results), sections.titles(results)
    known = [name for name in names if name in rated]
    if len(known) < 2:
        return ""
    by = (
        "comparisons of tasks" if rated[known[0]]["rank"] and rated[known[0]]["strength"] else "the agreement of raters"
    )
    return (
        f"By {by}, the most objective task is “{titles[known[0]]}” and the most subjective one “{titles[known[-1]]}”."
    )


def curves(results: Row) -> list[str]:
    """Whether synthetic rows gain more from agreement than real ones do, by mode."""
    known = (c for c in sections.part(results, "curves") if c["steeper"] and all_synthetic(c))
    return [_slopes(mode, rows) for mode, rows in _modes(known).items()]


def _slopes(mode: str, rows: Sequence[Row]) -> str:
    more = sum(row["steeper"]["mean"] > 0 for row in rows)
    clear = sum(row["steeper"]["low"] > 0 for row in rows)
    less = sum(row["steeper"]["high"] < 0 for row in rows)
    text = f"with {mode_name(mode)} rows accuracy rises more steeply than with real rows in "
    text += f"{among(more, len(rows), 'curve')}, clearly in {times(clear, len(rows))}"
    text = sentence(text + (f", and clearly less in {less}" if less else ""))
    if clear > len(rows) / 2:
        return f"{text} So they lose most on texts that raters disagree about."
    return text if clear or less else f"{text} The intervals are too wide to say that the slopes differ."


def texts(results: Row) -> list[str]:
    """How generated texts compare with real ones in variety, and which of them come closest to real ones."""
    found = sections.described(results)
    names = sections.measures(row for _, rows in found for _, row in rows)
    modes = dict.fromkeys(mode for _, rows in found for mode, row in rows if mode != "real" and all_synthetic(row))
    parts = [
        _variety(mode, measure, _pairs(found, "real", mode, measure, VARIED[measure]))
        for measure in [name for name in names if name in VARIED][:1]
        for mode in modes
    ]
    for measure in [name for name in names if name in CLOSE][:1]:
        pairs = _pairs(found, "zero_shot", "few_shot", measure, CLOSE[measure])
        closer = among(sum(difference > 0 for difference, _ in pairs), len(pairs), "set")
        parts.append(f"few-shot texts are closer to real ones than zero-shot texts in {closer}" if pairs else "")
    return [sentence(part) for part in parts if part]


def _variety(mode: str, measure: str, pairs: Sequence[tuple[float, float]]) -> str:
    if not pairs:
        return ""
    less, clear = sum(d < 0 for d, _ in pairs), sum(d < -2 * e for d, e in pairs if e)
    text = f"{mode_name(mode)} sets are less varied than real rows in {among(less, len(pairs), 'set')}"
    name = measure.replace("_", " ")
    known = any(error for _, error in pairs)
    return f"{text} ({name}{f'; beyond twice the standard error in {times(clear, len(pairs))}' if known else ''})"


def _pairs(
    found: Sequence[tuple[str, Sequence[tuple[str, Row]]]], base: str, mode: str, measure: str, sign: int
) -> list[tuple[float, float]]:
    """(difference, its standard error) of ``mode`` to ``base`` where one task has both from the same writer."""
    pairs = []
    for _, rows in found:
        bases = [row for of, row in rows if of == base]
        for row in (row for of, row in rows if of == mode):
            ours, error = sections.measured(row, measure)
            fitting = [b for b in bases if b.get("generator") in (None, row["generator"])]
            theirs, other = sections.measured(fitting[0], measure) if fitting else (None, None)
            if ours is not None and theirs is not None:
                pairs.append((sign * (ours - theirs), ((error or 0.0) ** 2 + (other or 0.0) ** 2) ** 0.5))
    return pairs


def ablation(rows: Sequence[tuple[str, Mapping[str, Row]]]) -> list[str]:
    """What generated rows add to the few real ones that they were made from, and what real ones would add instead."""
    few, both, real = "pool_only", "pool_plus_synthetic", "real"
    added = [(steps[few], steps[both]) for _, steps in rows if both in steps]
    bought = [(steps[both], steps[real]) for _, steps in rows if both in steps and real in steps]
    parts = [f"generated rows beside the few real examples {_change(added)}"] if added else []
    parts += [f"real rows in their place {_change(bought)}"] if bought else []
    return [sentence(part) for part in parts]


def _change(pairs: Sequence[tuple[Row, Row]]) -> str:
    scores = [(before["macro_f1"], after["macro_f1"]) for before, after in pairs]
    middle = median(after["mean"] - before["mean"] for before, after in scores)
    up = sum(after["low"] > before["high"] for before, after in scores)
    down = sum(after["high"] < before["low"] for before, after in scores)
    move = f"{'raise' if middle > 0 else 'lower'} macro-F1 by {points(middle)}"
    if len(pairs) == 1:
        return f"{move}: {'the intervals stand apart' if up or down else 'the intervals overlap, no clear change'}"
    rest = len(pairs) - up - down
    parts = [(up, "clearly up in"), (down, "clearly down in"), (rest, "no clear change in")]
    said = [f"{word} {times(n, len(pairs))}" for n, word in parts if n]
    return f"{move} in the middle of {count(len(pairs), 'task')}: {listed(said)}"


def mixes(results: Row) -> list[str]:
    """How much of the real rows could be replaced: for each share, how often the loss stays tolerable."""
    found = _modes(row for row in results["comparisons"] if row["gap"] and MIX.match(row["mode"]))
    parts = []
    for mode in sorted(found, key=lambda mode: (mixed(mode)[1], mixed(mode)[0])):
        states = [outcome(row, results["config"]["tolerance"]) for row in found[mode]]
        middle = signed_points(median(row["gap"]["mean"] for row in found[mode]))
        parts.append(f"{mode_name(mode)}: {among(states.count('yes'), len(states))} ({middle} points in the middle)")
    return [f"Comparisons that surely stay within your tolerance: {'; '.join(parts)}."] if parts else []


def baselines(results: Row) -> list[str]:
    """Whether training was worth it: against the most frequent label, and against the LLM that classifies itself."""
    comparisons = results["comparisons"]
    simple = {row["task"]: row for row in comparisons if row["mode"] == "majority" and row["macro_f1"]}
    trained = [row for row in comparisons if all_synthetic(row) and row["macro_f1"]]
    paired = [(row, simple[row["task"]]) for row in trained if row["task"] in simple]
    parts = [_itself(mode, comparisons, trained) for mode in BASELINES[1:]]
    if paired:
        poor = sum(row["macro_f1"]["low"] <= base["macro_f1"]["high"] for row, base in paired)
        weak = f"{among(poor, len(paired), 'classifier')} trained on generated rows may be no better"
        strong = "every classifier trained on generated rows is clearly better"
        parts.insert(0, f"{weak if poor else strong} than always saying the most frequent label")
    return [sentence(part) for part in parts if part]


def _itself(mode: str, comparisons: Sequence[Row], trained: Sequence[Row]) -> str:
    """How the LLM as a classifier stands against the best classifier that was trained on its texts."""
    won = lost = total = 0
    for row in comparisons:
        rivals = [other for other in trained if (other["task"], other["generator"]) == (row["task"], row["generator"])]
        if row["mode"] == mode and row["macro_f1"] and rivals:
            rival = max(rivals, key=lambda other: float(other["macro_f1"]["mean"]))["macro_f1"]
            total += 1
            won += row["macro_f1"]["low"] > rival["high"]
            lost += row["macro_f1"]["high"] < rival["low"]
    if not total:
        return ""
    parts = [(won, "clearly better"), (lost, "clearly worse"), (total - won - lost, "no clear difference")]
    said = [f"{word} in {times(n, total)}" for n, word in parts if n]
    text = f"the {mode_name(mode)}, against the best classifier trained on its texts ({count(total, 'comparison')})"
    return f"{text}: {listed(said)}"


def findings(results: Row) -> str:
    """How many of the paper's findings these numbers confirm."""
    verdicts = [finding["verdict"] for finding in results.get("findings") or ()]
    if not verdicts:
        return ""
    parts = [f"{verdicts.count(v)} {v}" for v in ("confirmed", "refuted", "undecided") if v in verdicts]
    return f"Of {count(len(verdicts), 'finding')} of the paper, this study's numbers leave {listed(parts)}."


def paper(results: Row) -> list[str]:
    """What the paper lost where this study has the same task and mode, and what this study lost."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for number, ours in sections.published(results):
        found.setdefault((number["task"], number["classifier"]), {})[number["mode"]] = (number["accuracy"], ours)
    sentences = []
    for (task, classifier), modes in found.items():
        for mode in (mode for mode in modes if mode != "real" and "real" in modes):
            theirs = modes["real"][0] - modes[mode][0]
            real = {row["classifier"]: row["accuracy"]["mean"] for row in modes["real"][1]}
            losses = [
                (short(row["classifier"]), real[row["classifier"]] - row["accuracy"]["mean"])
                for row in modes[mode][1]
                if row["classifier"] in real
            ]
            own = listed([f"{_lost(loss)} ({name})" if len(losses) > 1 else _lost(loss) for name, loss in losses])
            with_ = f" with {classifier}" if classifier else ""
            if own:
                title = sections.titles(results).get(task, task)
                sentences.append(
                    f"{title}, {mode_name(mode)}: the paper {_lost(theirs)} of accuracy{with_}; this study {own}."
                )
    return sentences


def _lost(loss: float) -> str:
    return f"{'lost' if loss >= 0 else 'won'} {points(loss)}"


def spent(results: Row) -> str:
    """The plan held against what it took, and how much of that is not known for sure."""
    return " ".join(filter(None, [_planned(results), _estimated(results["totals"])]))


def _estimated(totals: Row) -> str:
    if not totals.get("booked_estimated_usd"):
        return ""
    return (
        f"The budget counts ${totals['booked_usd']:.4f} as spent. Of that ${totals['booked_estimated_usd']:.4f} is an "
        "upper bound: some answers were lost on their way, or did not say how many tokens they took."
    )


def _planned(results: Row) -> str:
    """Nothing where trials came out of the store, which the plan leaves out.

    Both count minutes as if nothing had run side by side.
    """
    planned, totals = results.get("estimate") or {}, results["totals"]
    if totals["cells_stored"]:
        return ""
    pairs = [
        ("calls", totals["calls"], planned.get("calls")),
        ("minutes", totals["seconds"] / 60, planned.get("minutes")),
    ]
    parts = [f"{took / plan:.1f} times the {name}" for name, took, plan in pairs if took and plan]
    return f"Against the plan, the whole study took {listed(parts)}." if parts else ""


def summary(results: Row) -> list[str]:
    """The report's sentences about all tasks together, for places without figures."""
    return [
        *scores(results),
        *baselines(results),
        *([subjectivity(results)] if subjectivity(results) else []),
        *correlations(results),
        *curves(results),
        *mixes(results),
        *texts(results),
    ]
