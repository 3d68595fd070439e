"""Tables on stdout and live progress on stderr. So ``--json`` can use stdout.

If stderr is no terminal (a log file, CI), the display writes a plain line for each finished stage and, from time to
time, for running stages.
"""

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.config import TaskConfig
from tasks.phrases import count, signed_points
from tasks.progress import Progress
from tasks.records import Comparison, short
from tasks.reporting.grouping import in_order
from tasks.reporting.modes import MARKS, answer, place
from tasks.reporting.results import Results
from tasks.reporting.section import Section
from tasks.reporting.sections import SECTIONS, summary

if TYPE_CHECKING:  # the inventory imports numpy, which takes longer than a table
    from tasks.inventory import Pruning, Usage
    from tasks.llm.estimate import Estimate
    from tasks.planning.plan import Plan, Planned, Shown

STYLES = {"yes": "green", "no": "red", "undecided": "yellow", "none": "dim"}
VERDICTS = {"confirmed": "green", "refuted": "red", "undecided": "yellow"}
STAGES = {
    "load": "real rows",
    "synthesize": "syntheses",
    "trial": "trials",
    "classify": "LLM as classifier",
    "annotate": "annotators",
    "judge": "judges",
}
SHOWN = 6
"""Most running stages that the display lists; more would not fit into a small terminal."""
QUIET_S = 15.0
"""Seconds between plain lines about one running stage, without a terminal."""
PIPED_WIDTH = 140


class Finding(Protocol):
    """One line of ``synthgap doctor``."""

    @property
    def name(self) -> str:
        """What was checked."""

    @property
    def ok(self) -> bool | None:
        """Whether it is all right; null for optional parts."""

    @property
    def detail(self) -> str:
        """The result of the check."""


def show(content: RenderableType) -> None:
    """Print a table on stdout, as wide as the terminal, or ``PIPED_WIDTH`` characters without one."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(content)


def comparison_table(results: Results) -> RenderableType:
    """Scores and gaps, a line for each kind of training rows, by task; objective tasks come first."""
    table = _table("task", "training rows", ">macro-F1", ">95%", ">gap (points)", ">95%", "good enough?", "verdict")
    last = None
    for row in in_order(results, results.comparisons):
        state = answer(row)
        if last not in (None, row.task):
            table.add_section()
        cells = ["" if row.task == last else row.task, place(row, results), *_score(row), *_gap(row)]
        table.add_row(
            *map(Text, cells), Text(MARKS[state] if state == "none" else state, STYLES[state]), Text(row.verdict)
        )
        last = row.task
    broken = [cell for cell in results.cells if cell.status != "ok"]
    failed = [f"{cell.task} · {place(cell, results)} · seed {cell.seed}" for cell in broken]
    if not failed:
        return table
    rest = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return Group(table, Text(f"{len(failed)} cells failed: {'; '.join(failed[:SHOWN])}{rest}", "red"))


def study_view(results: Results, sections: Sequence[Section] = SECTIONS) -> RenderableType:
    """The comparison table, then sentences and tables of the sections."""
    parts: list[RenderableType] = [comparison_table(results)]
    if said := summary(results, sections):
        parts += [Text(), *(Text(f"• {sentence}") for sentence in said)]
    for section in sections:
        if section.heading and (sentences := section.sentences(results)):
            parts += [Text(), Text(f"{section.heading}:", "bold"), *(Text(f"• {sentence}") for sentence in sentences)]
    for section in sections:
        if found := section.table(results):
            table = _table(*found.heads)
            for row in found.rows:
                table.add_row(*(Text(cell, VERDICTS.get(cell, "")) for cell in row))
            parts += [Text(), table]
    return Group(*parts)


def plan_table(plan: "Plan") -> RenderableType:
    """A plan's syntheses and questions with their estimates, the number of trials, and the remaining work."""
    table = _table(
        "task", "mode", "generator", ">draw", ">calls", ">tokens in", ">tokens out", ">cost", ">time", "stored"
    )

    def add(names: Sequence[str], estimate: "Estimate", stored: bool) -> None:
        cells = [*names, *_spend(estimate, estimate.seconds)]
        table.add_row(*map(Text, cells), Text("yes" if stored else "no"), style="dim" if stored else "")

    for synthesis in plan.syntheses:
        job = synthesis.job
        names = (job.task.name, job.mode, short(job.source.label), str(job.draw))
        add(names, synthesis.estimate, synthesis.stored)
    for cell in plan.untrained:
        arm = cell.job.arm
        if cell.estimate.calls or (cell.stored and arm.source_label):
            add((arm.task, arm.mode, short(arm.source_label or ""), ""), cell.estimate, cell.stored)
    for questions in plan.questions:
        if questions.estimate.calls:
            add((questions.task or "all", questions.who, "", ""), questions.estimate, False)
    minutes = plan.totals.minutes
    table.add_section()
    table.add_row("still to do", "", "", "", *_spend(plan.totals, None if minutes is None else 60 * minutes), "")
    arms = [cell.job.arm for cell in plan.cells]
    modes, tasks = sorted({arm.mode for arm in arms}), {arm.task for arm in arms}
    stored = sum(cell.stored for cell in plan.cells)
    heading = f"Study {plan.study.name}: {count(len(arms), 'trial')} ({count(len(tasks), 'task')}; {', '.join(modes)})"
    said = [*plan.notes, *_leaving(plan.shown)]
    return Group(Text(f"{heading}, {stored} of them stored"), table, *map(Text, said))


def _leaving(shown: "Sequence[Shown]") -> list[str]:
    """A line for each address that would get real texts, or only descriptions of tasks."""
    lines = []
    for to in dict.fromkeys(item.to for item in shown if item.to is not None):
        theirs = [item for item in shown if item.to == to]
        tasks = dict.fromkeys(item.task for item in theirs)
        texts = [
            f"{task}: " + ", ".join(f"up to {item.texts:,} ({item.what})" for item in found)
            for task in tasks
            if (found := [item for item in theirs if item.task == task and item.texts])
        ]
        lines.append(f"Real texts that would be sent to {to}: {'; '.join(texts)}" if texts else
                     f"No real text would be sent to {to}, only the description of {', '.join(tasks)}")  # fmt: skip
    return lines or ["No real text leaves this machine."]


def tasks_table(tasks: Iterable[TaskConfig]) -> RenderableType:
    """The catalog: each task and the source of its real rows."""
    table = _table("task", "what it is", "labels", "real rows from", "licence")
    for task in tasks:
        sources = ", ".join(dict.fromkeys(source.kind for source in task.sources))
        names = list(task.labels)
        labels = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        table.add_row(*map(Text, (task.name, task.title, labels, sources, task.licence)))
    return table


def checks_table(checks: Iterable[Finding]) -> RenderableType:
    """The checks of ``synthgap doctor``. Problems have a word and a colour."""
    table = _table("", "what", "found")
    marks = {True: ("ok", "green"), False: ("PROBLEM", "bold red"), None: ("", "")}
    for check in checks:
        table.add_row(Text(*marks[check.ok]), Text(check.name), Text(check.detail))
    return table


def usage_tables(usage: "Usage") -> RenderableType:
    """The content of the home folder and the store, by kind and by study."""
    unused = f">unused for {usage.days:g} days"
    kinds = _table("where", "kind", "what it is", ">number", ">size", unused, ">not in any results")
    for kind in sorted(usage.kinds, key=lambda kind: (kind.place != "store", -kind.bytes)):
        free = kind.bytes_unreferenced
        sizes = [decimal(kind.bytes), decimal(kind.bytes_unused), "–" if free is None else decimal(free)]
        kinds.add_row(*map(Text, (kind.place, kind.kind, kind.about, f"{kind.number:,}", *sizes)))
    studies = _table("study", "last run", ">size of what its results refer to")
    for study in sorted(usage.studies, key=lambda study: -study.bytes):
        studies.add_row(*map(Text, (study.study, study.created, decimal(study.bytes))))
    heading = f"Home {usage.home}, store {usage.store}: {decimal(usage.bytes)}"
    parts: list[RenderableType] = [Text(heading), kinds]
    return Group(*parts, studies) if usage.studies else Group(*parts)


def pruning_table(pruning: "Pruning") -> RenderableType:
    """The content that pruning freed, or would free."""
    table = _table("kind", ">number", ">size")
    for row in pruning.kinds:
        table.add_row(*map(Text, (row.kind, f"{row.number:,}", decimal(row.bytes))))
    lines = [f"{'Freed' if pruning.applied else 'Would free'} {decimal(pruning.bytes)}."]
    if any(row.kind == "journals" for row in pruning.kinds):
        usd = pruning.journals_usd
        lines.append(f"The calls in these journals cost {'an unknown amount' if usd is None else f'${usd:,.2f}'}.")
    if pruning.kept_paid:
        kept = "artifact without results is" if pruning.kept_paid == 1 else "artifacts without results are"
        lines.append(f"{pruning.kept_paid:,} {kept} kept: no journal in this home has the LLM calls that made them.")
    if not pruning.applied and pruning.items:
        lines.append("Nothing was removed. Add --apply to remove it.")
    return Group(table, *map(Text, lines)) if pruning.items else Group(*map(Text, lines))


class Display:
    """Progress of a run on stderr: a bar for syntheses, a bar for trials, and a line for each running stage.

    ``update`` and ``message`` may be called from any thread.
    """

    def __init__(self, plan: "Plan", console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._plain = not self._console.is_terminal
        self._totals = {"synthesize": len(plan.syntheses), "trial": len(plan.cells)}
        self._active: dict[tuple[str, str], Progress] = {}
        self._ended: dict[str, set[str]] = {stage: set() for stage in STAGES}
        self._failed: dict[str, set[str]] = {stage: set() for stage in STAGES}
        self._said: dict[tuple[str, str], float] = {}
        self._started = time.monotonic()
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._plain:
            self._live.stop()

    def update(self, step: Progress) -> None:
        """Show the progress of a stage."""
        name = (step.stage, step.name)
        if step.finished:
            self._active.pop(name, None)
            self._ended[step.stage].add(step.name)
        else:
            self._active[name] = step
        if step.failed:
            self._failed[step.stage].add(step.name)
        if step.failed or (self._plain and self._due(name, step)):
            self._console.print(Text(self._line(step), "red" if step.failed else ""), soft_wrap=self._plain)

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(Text(text))

    def _due(self, name: tuple[str, str], step: Progress) -> bool:
        now = time.monotonic()
        if step.finished or now - self._said.get(name, self._started) >= QUIET_S:
            self._said[name] = now
            return True
        return False

    def _line(self, step: Progress) -> str:
        if not step.finished or step.stage not in self._totals:
            return str(step)
        ended = len(self._ended[step.stage])
        return f"[{ended}/{max(ended, self._totals[step.stage])} {STAGES[step.stage]}] {step}"

    def _draw(self) -> RenderableType:
        lines = [self._bar(stage, total) for stage, total in self._totals.items() if total]
        steps = list(self._active.values())
        work = Table.grid(padding=(0, 1))
        for step in steps[:SHOWN]:
            share = Text(f"{step.done}/{step.total}" if step.total > 1 else "")
            work.add_row(Text("  " + STAGES[step.stage], "dim"), Text(step.name), share, Text(step.note, "dim"))
        if len(steps) > SHOWN:
            work.add_row("", Text(f"and {len(steps) - SHOWN} more", "dim"), "", "")
        return Group(*lines, work)

    def _bar(self, stage: str, planned: int) -> RenderableType:
        ended, failed = len(self._ended[stage]), len(self._failed[stage])
        total = max(planned, ended)  # a synthesis with too few rows adds a trial on real rows
        seconds = time.monotonic() - self._started
        row = Table.grid(padding=(0, 1))
        for width in (10, 30, 9, 12, 8):
            row.add_column(width=width)
        bad = Text(f"{failed} failed", "red") if failed else Text("")
        clock = Text(f"{seconds // 60:.0f}:{seconds % 60:02.0f}", "dim")
        row.add_row(STAGES[stage], ProgressBar(total, ended, width=30), Text(f"{ended}/{total}"), bad, clock)
        return row


def _table(*heads: str) -> Table:
    """A table. A column whose head starts with ``>`` is right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        number = head.startswith(">")
        table.add_column(head.lstrip(">"), justify="right" if number else "left", no_wrap=number)
    return table


def _score(row: Comparison) -> list[str]:
    score = row.macro_f1
    return [f"{score.mean:.3f}", f"{score.low:.2f} to {score.high:.2f}"] if score else ["–", "–"]


def _gap(row: Comparison) -> list[str]:
    gap = row.gap
    return [signed_points(gap.mean), f"{signed_points(gap.low)} to {signed_points(gap.high)}"] if gap else ["–", "–"]


def _spend(planned: "Estimate | Planned", seconds: float | None) -> list[str]:
    counts = [f"{number:,}" for number in (planned.calls, planned.tokens_in, planned.tokens_out)]
    cost = "unknown" if planned.cost_usd is None else f"${planned.cost_usd:,.2f}"
    return [*counts, cost, "unknown" if seconds is None else _duration(seconds)]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
