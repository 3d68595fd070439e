"""The frozen records that cross rooms, and the hash that names them.

Between stages only these and content keys travel; texts stay in the store, so that nothing large or secret reaches
Prefect's database.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from tasks.config import ClassifierConfig, GeneratorConfig, ImportConfig, TaskConfig

Status = Literal["ok", "failed"]
Outcome = Literal["first", "better", "worse", "undecided"]
RowKind = Literal["real", "pool", "generated", "imported"]
"""A training row: any human-labelled one, one that prompts may show, one that an LLM wrote, one that others made."""
ComparedTo = Literal["real rows of the same size", "the study's real rows", "nothing"]
"""Which real arm a gap is measured to."""


def content_key(value: Any) -> str:
    """The first 32 hex digits of the SHA-256 of ``value`` as canonical JSON (sorted keys, UTF-8)."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"no canonical JSON for {type(value).__name__}")


def readable(*parts: str | None) -> str:
    """The parts that are there, as one name for people: ``sms_spam · few_shot · seed 0``. What repeats the part before
    it, as a baseline's classifier its mode, is said once.
    """
    return " · ".join(part for part, _ in groupby(filter(None, parts)))


def short(name: str) -> str:
    """A model's name without its provider; a probe of an encoder is not the encoder fine-tuned."""
    model = name.rsplit("/", 1)[-1]
    return f"probe {model}" if name.startswith("probe/") else model


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text. ``agreement`` is the share of human raters behind the label, 0 to 1, where known."""

    text: str
    label: str
    agreement: float | None = None


@dataclass(frozen=True)
class TaskData:
    """The real rows of one task. ``pool`` is the part of ``train`` that few-shot prompts may show.

    No text stands in both ``train`` and ``test``, and none twice.
    """

    task: TaskConfig
    train: tuple[Example, ...]
    pool: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""

    @property
    def key(self) -> str:
        """Content key of the task and its rows, wherever they came from.

        Rows go in as plain tuples: walking 28,000 records takes most of a second.
        """
        splits = (self.train, self.pool, self.test)
        rows = [[(row.text, row.label, row.agreement) for row in split] for split in splits]
        task = self.task.model_dump_json(exclude={"sources"})  # as text, because the order of labels counts
        return content_key([task, *rows])

    @property
    def summary(self) -> "TaskSummary":
        """The same without the rows, for results."""
        sizes = len(self.train), len(self.pool), len(self.test)
        return TaskSummary(
            self.task.name,
            self.task.title,
            tuple(self.task.labels),
            self.source,
            *sizes,
            licence=self.task.licence,
            citation=self.task.citation,
        )


@dataclass(frozen=True)
class TaskSummary:
    """What results say about a task's real rows, without the rows."""

    name: str
    title: str
    labels: tuple[str, ...]
    source: str
    n_train: int
    n_pool: int
    n_test: int
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows, by the measures of ``Synthesis.diversity``."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows to the real rows that syntheses are held against."""
    licence: str = ""
    citation: str = ""
    note: str = ""
    """What a reader of the task's scores should know: labels with fewer real rows than the study asks for."""


@dataclass(frozen=True)
class ModeFacts:
    """What analysis and reports need to know of a mode or of an untrained arm; ``tasks.modes`` has those of each."""

    title: str
    """A few words for tables and figures."""
    rows: frozenset[RowKind]
    """Kinds of rows that it trains on; empty for an untrained arm."""
    compared_to: ComparedTo
    """Modes whose number of rows is part of the question are not compared at their own size."""
    source: str | None = None
    """The mode whose generated or imported rows it trains on; null where it has none."""
    percent_generated: int | None = None
    """For a mix of generated and real rows: the share that is generated."""

    @property
    def untrained(self) -> bool:
        """Whether it is a row of comparison only: nothing is trained, so it says nothing about training rows."""
        return not self.rows

    @property
    def synthetic(self) -> bool:
        """Whether some of its training rows are generated or imported."""
        return not self.rows.isdisjoint(("generated", "imported"))

    @property
    def all_synthetic(self) -> bool:
        """Whether all of its training rows are generated or imported."""
        return self.synthetic and self.rows <= {"generated", "imported"}


@dataclass(frozen=True)
class SynthesisJob:
    """What one synthesis is asked to do; everything but the real rows."""

    task: TaskConfig
    mode: str
    generator: GeneratorConfig
    draw: int
    rows_per_label: int
    extra_texts: float
    """Extra texts allowed of each label, as a multiple of the rows wanted."""
    filters: tuple[str, ...]
    """Names of what rejects texts, in order."""
    imported: ImportConfig | None = None
    """Where its rows come from when nobody is asked for them; ``generator`` then has the import's name alone."""
    fewer: Mapping[str, int] = field(default_factory=dict)
    """Labels of which fewer rows are wanted than ``rows_per_label``, and how many."""

    @property
    def rows(self) -> dict[str, int]:
        """Rows wanted by label."""
        return {label: self.fewer.get(label, self.rows_per_label) for label in self.task.labels}

    @property
    def name(self) -> str:
        """Readable name of the synthesis."""
        return readable(self.task.name, self.mode, self.generator.model, f"draw {self.draw}")


@dataclass(frozen=True, slots=True)
class Row:
    """A generated text and where it came from. ``reason`` is null for a kept row, else why it was rejected."""

    text: str
    label: str
    call: str
    """Id of the journal entry that holds the answer."""
    reason: str | None = None
    evidence: str = ""
    """For a rejected row: what it resembles or breaks, in a few words."""
    answer: int = 0
    """Which of the call's answers, from 0."""


@dataclass(frozen=True)
class FilterCounts:
    """How many texts survived each step: requested >= answered >= parsed >= valid >= unique >= kept."""

    requested: int
    answered: int
    parsed: int
    valid: int
    unique: int
    kept: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected texts by reason."""


@dataclass(frozen=True)
class Synthesis:
    """One generated data set: its ledger here, its rows in the store under ``syntheses/<key>/rows.jsonl``."""

    key: str
    task: str
    mode: str
    generator: str
    draw: int
    status: Status
    yields: FilterCounts
    label_counts: Mapping[str, int]
    """Kept rows by label; every label of the task is a key."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    """Null when the price is unknown; 0 for the embedded model."""
    seconds: float
    """Wall time spent generating, resumed parts included."""
    model_answered: str = ""
    """The model that the provider says answered."""
    calls: int = 0
    """Completed LLM calls in the journal."""
    short: bool = False
    """Fewer rows than asked were kept for some label."""
    stopped: str = ""
    """Why generation ended early (budget reached, ...); empty when it did not."""
    label_noise: float | None = None
    """Estimated share of kept rows that are not of the label asked for; null unless the study has ``label_check``."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    similarity: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been, because the provider did not say them."""


@dataclass(frozen=True)
class TrialJob:
    """One training and its test. Rows are read from the store by key inside the trial."""

    task: TaskConfig
    mode: str
    generator: str | None
    """Null where the training rows are real."""
    classifier: ClassifierConfig
    seed: int
    data_key: str
    """Key of the real rows in the store (``data/<key>``)."""
    synthesis_key: str | None
    draw: int
    """Seed of the choice of real rows."""
    label_counts: Mapping[str, int]
    """Training rows wanted by label."""
    test_rows: int | None

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return readable(self.task.name, self.mode, self.generator, self.classifier.model, f"seed {self.seed}")


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial, a cell of the study's grid. Its predictions are in the store under ``trials/<key>``."""

    key: str
    task: str
    mode: str
    generator: str | None
    classifier: str
    seed: int
    status: Status
    n_train: int
    n_test: int
    label_counts: Mapping[str, int]
    macro_f1: float | None = None
    accuracy: float | None = None
    per_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Label to precision, recall, f1 and support."""
    seconds: float = 0.0
    cached: bool = False
    """Found in the store, nothing was trained in this run."""
    error: str | None = None
    run_id: str | None = None
    """MLflow run."""
    cost_usd: float | None = None
    """What an LLM that classifies took for the test rows; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Its seconds from question to answer, the mean over test rows; null for trained classifiers."""

    @property
    def outcome(self) -> str:
        """The score, or why there is none, for people."""
        return self.error or "failed" if self.macro_f1 is None else f"macro-F1 {self.macro_f1:.3f}"

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return readable(self.task, self.mode, self.generator, self.classifier, f"seed {self.seed}")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Macro-F1 of a mode minus that of matched real rows (negative is a loss), paired by seed and test row."""

    mean: float
    low: float
    high: float
    p: float
    """Two-sided permutation p-value."""
    p_corrected: float
    """The same after Holm's correction over all comparisons of the study."""
    effect: float | None = None
    """Effect size: the mean gap over the standard deviation of its seeds (Cohen's d of paired samples); null for one
    seed or seeds that do not differ."""
    seeds_needed: int | None = None
    """Seeds that would show a true loss of the study's tolerance, at power .8 and level .05, on the same test rows;
    null where 200 would not, because the test rows' share of the chance is too large, and with one seed, which says
    nothing of its chance."""
    test_rows_needed: int | None = None
    """Test rows that would show it with the study's seeds; null where 100,000 would not, because the seeds' share is
    too large, and with one seed."""


@dataclass(frozen=True)
class Comparison:
    """All seeds of one (task, mode, generator, classifier) against its real baseline, as a rule the one of its size."""

    task: str
    mode: str
    generator: str | None
    classifier: str
    seeds: tuple[int, ...]
    """Seeds whose trials finished."""
    macro_f1: Interval | None
    """Null when no trial finished."""
    accuracy: Interval | None
    gap: Gap | None
    """Null for the real baseline itself, where either side has no finished trial, and on fewer than 20 test rows."""
    verdict: str
    """Plain words: what this means for the study's tolerance."""
    n_train: int | None = None
    """Training rows of a trial, the mean over seeds; real rows of several sizes are a comparison each."""
    against: str = ""
    """The baseline of the gap in plain words; empty without a gap."""
    cost_usd_per_1000: float | None = None
    """Dollars for 1,000 predictions of an LLM that classifies; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Its seconds from question to answer, the mean over trials; null for trained classifiers."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What LLM calls took."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0
    """Null when a price is unknown."""
    seconds: float = 0.0
    """Wall time, other work beside it included."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater says of one item."""

    item: str
    """``item_key`` of the text."""
    rater: str
    """Model and persona, or a person's id."""
    label: str
    """A label of the task."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One comparison of two tasks: which of them is the more objective one (Li et al. 2023, section 3)."""

    judge: str
    """Model and persona, or a person's id."""
    objective: str
    """Name of the task judged to be more objective."""
    subjective: str
    """Name of the other."""


@dataclass(frozen=True)
class TaskSubjectivity:
    """How subjective one task is, by its raters' agreement and by comparisons with the other tasks."""

    task: str
    source: Literal["raters", "annotators", ""]
    """Whose agreement it is: human raters of the data, the panel of LLM annotators, or nobody's."""
    items: int = 0
    """Test rows with an agreement."""
    raters: float | None = None
    """Mean raters per item; null where the data does not say."""
    mean_agreement: Interval | None = None
    """Mean over items of a_i, the share of raters who chose the most frequent label."""
    krippendorff_alpha: float | None = None
    fleiss_kappa: float | None = None
    strength: Interval | None = None
    """Bradley-Terry log-strength of being the more subjective of two tasks, mean 0 over the study's tasks."""
    rank: int | None = None
    """1 is the most objective task of the study, by ``strength``, else by ``mean_agreement``."""
    comparisons: int = 0
    """Judgements that the task took part in."""
    note: str = ""
    """Why something above is missing, for people."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Scores on the test rows whose agreement is at least ``gamma``."""

    gamma: float
    items: int
    accuracy: Interval


@dataclass(frozen=True)
class Curve:
    """Accuracy of one (task, mode, generator, classifier) over agreement thresholds (Li et al. 2023, section 5)."""

    task: str
    mode: str
    generator: str | None
    classifier: str
    points: tuple[CurvePoint, ...]
    slope: Interval | None = None
    """Accuracy gained over the curve's range of gamma: the last point's minus the first's."""
    steeper: Interval | None = None
    """``slope`` minus that of the real baseline; null for the baseline itself."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Association:
    """A rank correlation with its 95% interval over tasks and its p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Correlation:
    """How the gap of a (mode, generator, classifier) goes with the subjectivity of tasks. Negative: subjective tasks
    lose more.
    """

    mode: str
    generator: str | None
    classifier: str
    measure: Literal["strength", "disagreement"]
    """Bradley-Terry strength, or 1 - mean agreement."""
    tasks: int
    spearman: Association | None = None
    kendall: Association | None = None
    note: str = ""
    """Why there is none: fewer than 3 tasks, ..."""


@dataclass(frozen=True)
class Finding:
    """One finding of the study by Li et al. 2023, held against this study's own numbers."""

    name: str
    claim: str
    """In plain words."""
    verdict: Literal["confirmed", "refuted", "undecided"]
    evidence: str
    """The numbers that decide it, in one or two sentences."""


@dataclass(frozen=True)
class Challenge:
    """One LLM's rows against those of the champion, the best so far, of the same task and mode."""

    task: str
    mode: str
    """The challenger's; empty where all modes of the task compete."""
    classifier: str
    challenger: str
    """What wrote its training rows: the LLM and, where all modes compete, the mode."""
    champion: str | None
    """The same of the champion until now; null when there was none."""
    outcome: Outcome
    gap: Gap | None = None
    """Macro-F1 of the challenger minus the champion's, paired by seed and test row; null where that cannot be done."""
    note: str = ""
    """Why not."""
    retired: tuple[str, ...] = ()
    """Those of the two whose LLM is not served any more."""


def known_sum(values: Iterable[float | None]) -> float | None:
    """The sum; null where any of the values is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def count_labels(examples: Iterable[Example | Row], labels: Iterable[str]) -> dict[str, int]:
    """Rows by label, with a zero for a label that has none."""
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in labels}
