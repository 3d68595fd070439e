"""Generated and real rows in given shares, together as many as the generated set has: ``mix/90``, ``mix/50/zero_shot``.

Both parts are the first rows of a fixed order. So the generated rows of ``mix/25`` are among those of ``mix/50``, the
real rows of ``mix/50`` are among those of ``mix/25``, and mixes differ only in the rows that are exchanged.
"""

import re
from collections.abc import Mapping, Sequence

from tasks.config.parameters import split
from tasks.data.sample import matched_rows
from tasks.errors import UserError, unknown
from tasks.generation.mode import Family, Mode, generated
from tasks.records import Example, TaskData, count_labels

DEFAULT_MODE = "few_shot"
USAGE = "mix/<percent generated, 1 to 99>[/<mode of an LLM>]"


def _generated_of(n: int, percent: int) -> int:
    """How many of a label's rows are generated, rounded half up; never fewer for a higher percentage."""
    return (n * percent + 50) // 100


def _count(data: TaskData, label_counts: Mapping[str, int]) -> dict[str, int]:
    """At most as many rows as there are real ones, so that mixes of all percentages have the same number."""
    real = count_labels(data.train, data.task.labels)
    return {label: min(n, real[label]) for label, n in label_counts.items()}


def _make(parameters: Sequence[str], modes: Mapping[str, Mode]) -> Mode:
    name = "/".join(("mix", *parameters))
    template, given = split("/".join(parameters[1:]) if len(parameters) > 1 else DEFAULT_MODE)
    if not parameters or not re.fullmatch(r"[1-9]\d?", parameters[0]) or (len(parameters) > 1 and "/" in template):
        raise UserError(f"mode {name!r}: the percentage must be a whole number from 1 to 99. Allowed: {USAGE}")
    written = [mode.name for mode in modes.values() if mode.template and mode.template.name == mode.name]
    if template not in written:
        raise unknown(f"mode of an LLM in {name!r}:", template, written)
    made_by, percent = modes[template].with_parameters(given), int(parameters[0])
    if len(parameters) > 1:
        name = f"mix/{percent}/{made_by.name}"

    def select(
        data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int
    ) -> tuple[Example, ...]:
        made = {label: _generated_of(n, percent) for label, n in label_counts.items()}
        real = {label: n - made[label] for label, n in label_counts.items()}
        return (*generated(data, rows, made, draw), *matched_rows(data, real, draw))

    named = f", {made_by.title}" if len(parameters) > 1 else ""
    return Mode(
        name=name,
        title=f"{percent}% synthetic{named}",
        summary=f"{percent}% written as in {made_by.name}, the rest human-labelled",
        rows=frozenset({"real", "generated"}),
        select=select,
        template=made_by.template,
        count=_count,
        percent_generated=percent,
    )


FAMILY = Family("mix", USAGE, _make)
