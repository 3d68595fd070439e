"""What a report's figures and tables mean for the reader, in a sentence each, computed from the numbers.

A sentence is as sure as the intervals are: "clearly" needs an interval that leaves no doubt, and where there is none
the sentence says so. A section without numbers has no sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tasks.reporting import sections
from tasks.reporting.modes import BASELINES, MIX, all_synthetic, mixed, mode_name, outcome, short
from tasks.reporting.sections import Row

MINUS = "−"
VARIED = {"remote_clique": 1, "chamfer": 1, "vendi": 1, "distinct_2": 1, "distinct_1": 1, "self_bleu": -1}
"""Measures of variety, and whether more of one means more varied texts."""
CLOSE = {"top_5": 1, "top5_to_real": 1, "top_5_back": 1, "mmd": -1, "auc": -1}
"""Measures of closeness to real texts, in the same way."""


def points(score: float) -> str:
    """A difference of scores in points: ``4.2 points``, ``13 points``, ``1 point``."""
    value = 100 * abs(score)
    number = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")
    return f"{number} point" if number == "1" else f"{number} points"


def count(n: int, noun: str) -> str:
    """``1 task``, ``3 tasks``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def signed(value: float) -> str:
    """With its sign, and a real minus: ``−0.78``."""
    return f"{value:+.2f}".replace("-", MINUS)


def signed_points(score: float) -> str:
    """A difference of scores in points with its sign: ``−13.2``."""
    return f"{100 * score:+.1f}".replace("-", MINUS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def _modes(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["mode"], []).append(row)
    return found


def scores(results: Row) -> str:
    """What each kind of synthetic rows costs, and how often that is within the tolerance."""
    found = _modes(row for row in results["comparisons"] if row["gap"] and all_synthetic(row))
    return " ".join(_cost(mode, rows, results["config"]["tolerance"]) for mode, rows in found.items())


def _cost(mode: str, rows: Sequence[Row], tolerance: float) -> str:
    states = [outcome(row, tolerance) for row in rows]
    middle = median(row["gap"]["mean"] for row in rows)
    side = "cost" if middle < 0 else "win"
    much = f"{mode_name(mode)} rows {side} {points(middle)} of macro-F1"
    if len(rows) == 1:
        words = {"yes": "within what you tolerate", "no": "more than you tolerate", "open": "too uncertain to decide"}
        return _sentence(f"{much}: {words[states[0]]}")
    words = {"yes": "within your tolerance in {}", "no": "clearly beyond it in {}", "open": "undecided in {}"}
    parts = [text.format(states.count(state)) for state, text in words.items() if state in states]  # type: ignore[arg-type]
    text = f"{much} in the middle of {len(rows)} comparisons: {listed(parts)}"
    return _sentence(text if "yes" in states else text.replace("beyond it", "beyond your tolerance"))


def power(row: Row, results: Row) -> str:
    """What would decide an undecided comparison, where anything within reach would."""
    gap = row["gap"]
    if not gap or outcome(row, results["config"]["tolerance"]) != "open":
        return ""
    seeds, rows = gap.get("seeds_needed"), gap.get("test_rows_needed")
    tested = max((cell["n_test"] for cell in results["cells"] if cell["task"] == row["task"]), default=0)
    parts = [f"{seeds:,} seeds"] if seeds and seeds > len(row["seeds"]) else []
    parts += [f"{rows:,} test rows"] if rows and rows > tested else []
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


def curves(results: Row) -> str:
    """Whether synthetic rows gain more from agreement than real ones do, by mode."""
    known = (c for c in sections.part(results, "curves") if c["steeper"] and all_synthetic(c))
    parts = []
    for mode, rows in _modes(known).items():
        more = sum(row["steeper"]["mean"] > 0 for row in rows)
        clear = sum(row["steeper"]["low"] > 0 for row in rows)
        less = sum(row["steeper"]["high"] < 0 for row in rows)
        text = (
            f"{mode_name(mode)} rows gain more from agreement than real rows in {more} of {count(len(rows), 'curve')}"
        )
        parts.append(_sentence(f"{text}, clearly in {clear}" + (f", and clearly less in {less}" if less else "")))
        if clear > len(rows) / 2:
            parts[-1] += " There, what they lose, they lose on texts that people disagree about."
        elif not clear and not less:
            parts[-1] += " The intervals are too wide to say that the slopes differ."
    return " ".join(parts)


def texts(results: Row) -> str:
    """How generated texts compare with real ones in variety, and which of them come closest to real ones."""
    found, parts = sections.described(results), []
    names = sections.measures(row for _, rows in found for _, row in rows)
    for measure in [name for name in names if name in VARIED][:1]:
        for mode in dict.fromkeys(mode for _, rows in found for mode, _ in rows if mode != "real"):
            pairs = _pairs(found, "real", mode, measure, VARIED[measure])
            if pairs:
                less, clear = sum(d < 0 for d, _ in pairs), sum(d < -2 * e for d, e in pairs if e)
                text = f"{mode_name(mode)} texts are less varied than real ones in {less} of {count(len(pairs), 'set')}"
                sure = f", beyond twice the standard error in {clear}" if any(e for _, e in pairs) else ""
                parts.append(_sentence(text + sure))
    for measure in [name for name in names if name in CLOSE][:1]:
        pairs = _pairs(found, "zero_shot", "few_shot", measure, CLOSE[measure])
        if pairs:
            closer = sum(difference > 0 for difference, _ in pairs)
            text = "few-shot texts are closer to real ones than zero-shot texts"
            parts.append(_sentence(f"{text} in {closer} of {count(len(pairs), 'set')}"))
    return " ".join(parts)


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


def ablation(rows: Sequence[tuple[str, Mapping[str, Row]]]) -> str:
    """What generated rows add to the few real ones that they were made from, and what real ones would add instead."""
    parts = []
    added = [(steps["pool_only"], steps["pool_plus_synthetic"]) for _, steps in rows if "pool_plus_synthetic" in steps]
    if added:
        parts.append(f"generated rows added to the few real examples {_change(added)}")
    bought = [
        (steps["pool_plus_synthetic"], steps["real"])
        for _, steps in rows
        if {"pool_plus_synthetic", "real"} <= set(steps)
    ]
    if bought:
        parts.append(f"as many real rows instead {_change(bought)}")
    return " ".join(map(_sentence, parts))


def _change(pairs: Sequence[tuple[Row, Row]]) -> str:
    changes = [after["macro_f1"]["mean"] - before["macro_f1"]["mean"] for before, after in pairs]
    apart = sum(after["macro_f1"]["low"] > before["macro_f1"]["high"] for before, after in pairs)
    worse = sum(after["macro_f1"]["high"] < before["macro_f1"]["low"] for before, after in pairs)
    middle = median(changes)
    move = f"{'raise' if middle > 0 else 'lower'} macro-F1 by {points(middle)}"
    if len(pairs) == 1:
        return move + (
            " (the intervals stand apart)" if apart or worse else " (the intervals overlap: no clear change)"
        )
    clear = f"clearly up in {apart} of {count(len(pairs), 'task')}" + (f" and clearly down in {worse}" if worse else "")
    return (
        f"{move} in the middle task ({clear}; elsewhere the intervals overlap)"
        if apart + worse < len(pairs)
        else (f"{move} in the middle task ({clear})")
    )


def mixes(results: Row) -> str:
    """How much of the real rows could be replaced: for each share, how often the loss stays tolerable."""
    found = _modes(row for row in results["comparisons"] if row["gap"] and MIX.match(row["mode"]))
    parts = []
    for mode in sorted(found, key=lambda mode: (mixed(mode)[1], mixed(mode)[0])):
        states = [outcome(row, results["config"]["tolerance"]) for row in found[mode]]
        middle = median(row["gap"]["mean"] for row in found[mode])
        stay = "stays" if len(states) == 1 else "stay"
        often = f"{states.count('yes')} of {count(len(states), 'comparison')} {stay} within your tolerance"
        parts.append(f"with {mode_name(mode)}, {often} (middle gap {signed_points(middle)} points)")
    return " ".join(map(_sentence, parts))


def baselines(results: Row) -> str:
    """Whether training was worth it: against the most frequent label, and against the LLM that classifies itself."""
    comparisons = results["comparisons"]
    simple = {row["task"]: row for row in comparisons if row["mode"] == "majority" and row["macro_f1"]}
    trained = [row for row in comparisons if all_synthetic(row) and row["macro_f1"]]
    parts = []
    paired = [(row, simple[row["task"]]) for row in trained if row["task"] in simple]
    if paired:
        poor = sum(row["macro_f1"]["low"] <= base["macro_f1"]["high"] for row, base in paired)
        weak = f"{poor} of {count(len(paired), 'classifier')} trained on generated rows may be no better"
        strong = "every classifier trained on generated rows is clearly better"
        parts.append(f"{weak if poor else strong} than always saying the most frequent label")
    parts += [text for mode in BASELINES[1:] if (text := _itself(mode, comparisons, trained))]
    return " ".join(map(_sentence, parts))


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
    rest = total - won - lost
    text = f"{mode_name(mode)}, is clearly better than the best classifier trained on its texts in {won} of {total}"
    return f"the {text}, clearly worse in {lost}" + (f" and neither in {rest}" if rest else "")


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
    """The plan held against what it took, where nothing of it came out of the store."""
    planned, totals = results.get("estimate") or {}, results["totals"]
    minutes = planned.get("minutes")
    if not minutes or totals["cells_stored"] or not totals["seconds"]:
        return ""
    ratio = totals["seconds"] / 60 / minutes
    return (
        f"The work took {ratio:.1f} times the planned minutes; stages that ran side by side count with each one's own."
    )


def asked(results: Row) -> list[str]:
    """Names of the tasks that the study asked for."""
    return [Path(task).stem if task.endswith((".yaml", ".yml")) else task for task in results["config"]["tasks"]]
