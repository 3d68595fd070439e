"""Judges of tasks: LLMs in several roles see two tasks and say which of them is more objective.

Li et al. 2023 (arXiv 2310.07849, section 3) asked crowd workers in the same way; their definition of objective is used.
Each judge sees a pair in both orders with the same examples. The pair counts as judged only if the judge names the same
task in both orders, because LLMs tend to name the first one (Zheng et al. 2023, arXiv 2306.05685).
"""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from tasks.config import SubjectivityConfig
from tasks.data.split import by_label
from tasks.labelling.interview import Interview, cut
from tasks.labelling.question import Role, roles
from tasks.labelling.runner import Report, run_interviews
from tasks.llm.calls import CompletionFunction
from tasks.llm.ledger import Ledger
from tasks.progress import Progress, announce
from tasks.records import Judgement, TaskData, content_key, readable
from tasks.settings import Settings
from tasks.store import Store

LOGGER = logging.getLogger("synthgap")

KIND = "judgements"
JUDGEMENTS = "judgements.jsonl"
SHOTS, EXAMPLE_WORDS, MOST_EXAMPLES = 2, 25, 16
"""Examples of each label, most words of an example, and most examples of a task."""
OPTIONS = ("A", "B")
VERSION = 2
"""Increase it when the same answers lead to other judgements."""
DEFINITION = (
    "A classification task is objective if its labels are decided on clear, identifiable features in the text, without "
    "personal interpretation. It is subjective if different people may choose different labels, by their own "
    "interpretation.\n"
    "You are shown two tasks, A and B. Which one is more objective? Answer with A or B and nothing else."
)


@dataclass(frozen=True)
class Comparison:
    """One pair of tasks, as shown to a judge."""

    judge: Role
    first: TaskData
    second: TaskData
    round: int
    """How often this judge was shown the pair before; each time with other examples."""

    @property
    def question(self) -> str:
        """The question to the judge."""
        shown = (describe(data, self.round) for data in (self.first, self.second))
        return "\n\n".join(f"Task {name}: {text}" for name, text in zip(OPTIONS, shown, strict=True))

    def judgement(self, option: str) -> Judgement:
        """The judgement that an option means."""
        names = self.first.task.name, self.second.task.name
        objective, subjective = names if option == OPTIONS[0] else names[::-1]
        return Judgement(self.judge.name, objective, subjective)


def describe(data: TaskData, round_: int) -> str:
    """A task as shown to judges: title, what a text is, labels with their meanings, and a few examples of the pool."""
    task, rng = data.task, random.Random(f"{data.task.name}:{round_}")
    groups = by_label(data.pool)
    lines = [f"{task.title}\nEach text is {task.text}. The labels:"]
    shown = set(rng.sample(list(task.labels), min(len(task.labels), MOST_EXAMPLES // SHOTS)))
    for label, meaning in task.labels.items():
        lines.append(f"- {label}: {meaning}")
        rows = groups.get(label, []) if label in shown else []
        lines += [f'  "{cut(row.text, EXAMPLE_WORDS)}"' for row in rng.sample(rows, min(SHOTS, len(rows)))]
    return "\n".join(lines)


def schedule(data: Sequence[TaskData], config: SubjectivityConfig) -> tuple[Comparison, ...]:
    """``config.comparisons`` comparisons, spread as evenly as possible over pairs, and over judges within each pair.

    The two orders of a pair are next to each other; if the number is odd, the last comparison is left out. The result
    is empty for fewer than two tasks or without judges. Raises ``UserError`` if two judges have the same name.
    """
    judges = roles(config.judges, config.personas)
    pairs = list(combinations(data, 2))
    if not judges or not pairs:
        return ()
    rng = random.Random(content_key([sorted(rows.task.name for rows in data), [judge.name for judge in judges]]))
    rng.shuffle(pairs)
    found: list[Comparison] = []
    unit = 0
    while len(found) + 2 <= config.comparisons:
        turn, place = divmod(unit, len(pairs))  # each turn goes through all pairs once, each time with the next judge
        judge, round_ = judges[(turn + place) % len(judges)], turn // len(judges)
        first, second = rng.sample(pairs[place], 2)
        found += [Comparison(judge, first, second, round_), Comparison(judge, second, first, round_)]
        unit += 1
    return tuple(found)


JudgeInterviews = list[tuple[Interview, tuple[Comparison, ...]]]
"""The interview of each judge with its comparisons."""


def judge_interviews(data: Sequence[TaskData], config: SubjectivityConfig) -> JudgeInterviews:
    """An interview for each judge. Comparisons are sorted by first task, for the prefix cache."""
    by_judge: dict[str, list[Comparison]] = defaultdict(list)
    for comparison in schedule(data, config):
        by_judge[comparison.judge.name].append(comparison)
    found: JudgeInterviews = []
    for comparisons in by_judge.values():
        judge = comparisons[0].judge
        ordered = sorted(comparisons, key=lambda c: (c.round, c.first.task.name, c.second.task.name))
        opening = ({"role": "system", "content": f"{judge.persona}\n{DEFINITION}"},)
        questions = tuple(comparison.question for comparison in ordered)
        found.append((Interview(judge.name, judge.llm, opening, OPTIONS, questions), tuple(ordered)))
    return found


def judgements_key(asked: JudgeInterviews) -> str:
    """Content key of the judgements: the judges and their questions."""
    return content_key([VERSION, *([interview.key, interview.name, interview.questions] for interview, _ in asked)])


def stored_judgements(
    data: Sequence[TaskData], config: SubjectivityConfig, settings: Settings
) -> tuple[Judgement, ...] | None:
    """The judgements if all of them were made; null if the store has none."""
    return _find(Store(settings.store_url), judgements_key(judge_interviews(data, config)))


def judge(
    data: Sequence[TaskData],
    config: SubjectivityConfig,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
    report: Report = announce,
) -> tuple[Judgement, ...]:
    """Have the judges compare pairs of tasks, or find their judgements in the store; none for fewer than two tasks.

    There is one judgement for each pair that a judge decided in the same way in both orders; the number of other pairs
    is stored and logged. If the budget is reached, the judgements so far are returned but not stored, and a later run
    continues. Raises ``RunError`` if an LLM fails.
    """
    asked = judge_interviews(data, config)
    if not asked:
        return ()
    store, key = Store(settings.store_url), judgements_key(asked)
    total = sum(len(comparisons) for _, comparisons in asked)
    name = readable(f"{len(data)} tasks", f"{len(asked)} judges")

    def progress(done: int, note: str) -> Progress:
        return Progress("judge", name, done, total, note)

    stored = _find(store, key)
    if stored is not None:
        store.touch(KIND, key)
        report(progress(total, "from the store"))
        return stored
    found = run_interviews([interview for interview, _ in asked], progress, report, settings, ledger, complete)
    answers = [
        (comparison, reply.option)
        for replies, (_, comparisons) in zip(found, asked, strict=True)
        for reply, comparison in zip(replies.replies, comparisons, strict=True)
        if reply is not None
    ]
    made, pairs = _decided(answers), total // 2
    stopped = next((replies.stopped for replies in found if replies.stopped), "")
    if not stopped:
        firsts = [option == OPTIONS[0] for _, option in answers if option]
        manifest = {
            "tasks": [rows.task.name for rows in data],
            "calls_keys": [interview.key for interview, _ in asked],
            "pairs": pairs,
            "decided": len(made),
            "unanswered": {replies.interview.name: replies.unanswered for replies in found},
            "first_share": sum(firsts) / len(firsts) if firsts else None,  # 0.5 if the position has no effect
        }
        store.put(KIND, key, manifest, {JUDGEMENTS: made})
        if len(made) < pairs:
            LOGGER.warning(
                "%s: %d of %d pairs were decided differently when their order was swapped; they are not counted",
                name,
                pairs - len(made),
                pairs,
            )
    report(progress(total, stopped or f"{len(made)} of {pairs} pairs decided"))
    return tuple(made)


def _decided(answers: Sequence[tuple[Comparison, str | None]]) -> list[Judgement]:
    """A judgement for each pair that its judge decided in the same way in both orders."""
    by_pair: dict[tuple[str, int, frozenset[str]], list[Judgement | None]] = defaultdict(list)
    for comparison, option in answers:
        names = frozenset((comparison.first.task.name, comparison.second.task.name))
        judgement = comparison.judgement(option) if option else None
        by_pair[comparison.judge.name, comparison.round, names].append(judgement)
    return [first for first, *others in by_pair.values() if first is not None and others == [first]]


def _find(store: Store, key: str) -> tuple[Judgement, ...] | None:
    try:
        return store.rows(KIND, key, JUDGEMENTS, Judgement)
    except FileNotFoundError:
        return None
