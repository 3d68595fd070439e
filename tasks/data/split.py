"""From a source's rows to train, pool and test: cleaning, checks and seeded stratified choices.

Every choice ranks rows by a hash of a salt and their text. It depends neither on their order nor on other rows, and
the first k of a ranking are among the first k + 1, so larger choices contain smaller ones.
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tasks.config import TaskConfig
from tasks.data.sources.reading import Reading
from tasks.errors import UserError
from tasks.records import Example, TaskData

SPLIT_SEED = 20231207
"""Fixed, so that the seeds of a study do not move rows from train to test."""


@dataclass
class Dropped:
    """Rows that cleaning removed, by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.counts.items() if count)


def same_text(text: str) -> str:
    """The text without its case and whitespace: the same for texts that differ in these only."""
    return " ".join(text.casefold().split())


def ranked(rows: Iterable[Example], salt: str, most: int | None = None) -> list[Example]:
    """Rows in a random order that depends on their texts and the salt only; of it the first ones, null for all."""
    start = hashlib.sha256(salt.encode() + b"\n")

    def rank(row: Example) -> bytes:
        state = start.copy()
        state.update(row.text.encode())
        return state.digest()

    return sorted(rows, key=rank) if most is None else heapq.nsmallest(most, rows, key=rank)


def by_label(rows: Iterable[Example]) -> dict[str, list[Example]]:
    """Rows grouped by label, in their order."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        groups[row.label].append(row)
    return groups


def split(task: TaskConfig, reading: Reading, pool_share: float, pool_rows: int | None = None) -> TaskData:
    """Clean rows in train, pool (at most ``pool_rows`` of a label) and test, every label of the task in each.

    Raises ``UserError`` for labels that the task does not list or that a split lacks, and for files without anything to
    learn.
    """
    dropped = Dropped()
    train = clean(task, reading.train, reading.train_name, dropped)
    if reading.test is None:
        train, test = _split_off(task, train)
    else:
        test = clean(task, reading.test, reading.test_name, dropped)
        _check_missing(task, train, test, reading)
        train = _without(train, test, dropped, reading)
    _check_missing(task, train, test, reading)
    chosen = {row.text for row in share_of(train, pool_share, f"pool:{SPLIT_SEED}", pool_rows)}
    pool = tuple(row for row in train if row.text in chosen)
    parts = [reading.source, *reading.notes, f"{dropped} dropped" if str(dropped) else ""]
    return TaskData(task, tuple(train), pool, tuple(test), "; ".join(part for part in parts if part))


def clean(task: TaskConfig, rows: Sequence[Example], name: str, dropped: Dropped) -> list[Example]:
    """Rows with stripped, distinct texts and listed labels; texts with two labels are removed."""
    _check_listed(task, rows, name)
    if not rows:
        raise UserError(f"task {task.name!r}: {name} has no rows")
    kept: dict[str, Example] = {}
    conflicting = set()
    for row in rows:
        text = row.text.strip()
        same = same_text(text)
        if not same:
            dropped.counts["empty texts"] += 1
        elif same not in kept:
            kept[same] = row if text == row.text else Example(text, row.label, row.agreement)
        elif kept[same].label == row.label:
            dropped.counts["duplicates"] += 1
        else:
            conflicting.add(same)
    if conflicting:
        dropped.counts["rows of texts with conflicting labels"] += sum(same_text(r.text) in conflicting for r in rows)
    result = [row for same, row in kept.items() if same not in conflicting]
    where = f"task {task.name!r}: {name} has {len(rows)} rows, but"
    if not kept:
        raise UserError(f"{where} none of them has a text")
    if len({row.label for row in kept.values()}) == 1 and not conflicting:
        raise UserError(f"{where} only one label, {rows[0].label!r}; a classifier needs at least two")
    if len(kept) == 1:
        raise UserError(f"{where} all of them have the same text")
    if not result:
        raise UserError(f"{where} each text occurs with two labels")
    return result


def share_of(rows: Sequence[Example], share: float, salt: str, most: int | None = None) -> list[Example]:
    """A share of each label's rows, at least one and at most ``most`` of each."""
    chosen = []
    for group in by_label(rows).values():
        chosen += ranked(group, salt)[: max(1, round(share * len(group)))][:most]
    return chosen


def _split_off(task: TaskConfig, rows: list[Example]) -> tuple[list[Example], list[Example]]:
    counts = Counter(row.label for row in rows)
    for label in task.labels:
        if counts[label] == 1:
            raise UserError(f"task {task.name!r}: label {label!r} has one row; train and test need one each")
    taken: set[str] = set()
    for label, group in by_label(rows).items():
        size = min(max(1, round(task.test_share * len(group))), counts[label] - 1)
        taken.update(row.text for row in ranked(group, f"test:{SPLIT_SEED}")[:size])
    return [row for row in rows if row.text not in taken], [row for row in rows if row.text in taken]


def _without(train: list[Example], test: list[Example], dropped: Dropped, reading: Reading) -> list[Example]:
    tested = {same_text(row.text) for row in test}
    left = [row for row in train if same_text(row.text) not in tested]
    if not left:
        raise UserError(
            f"every text of {reading.train_name} is also in {reading.test_name}, so no training rows are left"
        )
    dropped.counts["training rows that stand in the test set"] += len(train) - len(left)
    return left


def _check_listed(task: TaskConfig, rows: Sequence[Example], name: str) -> None:
    for number, row in enumerate(rows, start=1):
        if row.label not in task.labels:
            found = f"label {row.label!r}" if row.label else "no label"
            raise UserError(
                f"task {task.name!r}: {found} in row {number} of {name}. Allowed: {', '.join(task.labels)} "
                f"(list it under labels, or map it with label_map)"
            )


def _check_missing(task: TaskConfig, train: Sequence[Example], test: Sequence[Example], reading: Reading) -> None:
    trained, tested = {row.label for row in train}, {row.label for row in test}
    for label in task.labels:
        if label in tested and label not in trained:
            raise UserError(
                f"task {task.name!r}: label {label!r} is in {reading.test_name}, but not in {reading.train_name}. "
                f"Labels there: {', '.join(sorted(trained))}"
            )
        if label not in tested:
            both = "any row" if label not in trained else f"a row in {reading.test_name}"
            raise UserError(f"task {task.name!r}: label {label!r} is listed, but does not have {both}")
