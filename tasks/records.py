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
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from tasks.config import ClassifierConfig, GeneratorConfig, ImportConfig, TaskConfig

Status = Literal["ok", "failed"]
Outcome = Literal["first", "better", "worse", "undecided"]
ID_LENGTH = 16
"""Hex digits of an arm's id and of its parts' keys: a study has hundreds of arms, not billions."""
GoodEnough = Literal["yes", "no", "undecided", "none"]
Rows = tuple[tuple[str, int], ...]
"""Rows by label, sorted by label."""
RowKind = Literal["real", "pool", "generated", "imported"]
"""A training row: any human-labelled one, one that prompts may show, one that an LLM wrote, one that others made."""
ComparedTo = Literal["real rows of the same size", "the study's real rows", "nothing"]
"""Which real arm a gap is measured to."""


def content_key(value: Any) -> str:
    """The first 32 hex digits of the SHA-256 of ``value`` as canonical JSON (sorted keys, UTF-8)."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:32]


def content_key_of_many(name: str, items: Iterable[Any], rest: Mapping[str, Any]) -> str:
    """The content key of ``{name: [*items], **rest}``, whose JSON need not fit into memory."""
    digest = hashlib.sha256()
    for number, field_name in enumerate(sorted({name, *rest})):
        digest.update(f"{',' if number else '{'}{_canonical(field_name)}:".encode())
        if field_name == name:
            digest.update(b"[")
            for place, item in enumerate(items):
                digest.update(f"{',' if place else ''}{_canonical(item)}".encode())
            digest.update(b"]")
        else:
            digest.update(_canonical(rest[field_name]).encode())
    digest.update(b"}")
    return digest.hexdigest()[:32]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"no canonical JSON for {type(value).__name__}")


def readable(*parts: str | None) -> str:
    """The parts that are there, as one name for people: ``sms_spam · few_shot · seed 0``. A part that repeats the one
    before it is left out: mode and classifier of ``majority`` have one name.
    """
    return " · ".join(part for part, _ in groupby(filter(None, parts)))


def short(name: str) -> str:
    """A model's name without its provider, settings in brackets kept; a probe of an encoder says that it is one."""
    model, bracket, settings = name.partition(" (")
    model = model.rsplit("/", 1)[-1] + bracket + settings
    return f"probe {model}" if name.startswith("probe/") else model


@dataclass(frozen=True, slots=True)
class Configured:
    """A generator, an import or a classifier with its settings: two settings of one model are two of these."""

    name: str
    """Of the model or import."""
    label: str
    """What people read. It differs from ``name`` only where a study has several settings of one name."""
    key: str
    """Hash of the config's ``identity``: the name and all settings that shape rows or trainings."""


def configured(
    config: GeneratorConfig | ImportConfig | ClassifierConfig,
    among: Iterable[GeneratorConfig | ImportConfig | ClassifierConfig] = (),
) -> Configured:
    """A generator, import or classifier of a study. ``among`` are all that the study lists of its kind: where some of
    them have the same name, the label adds the settings in which they differ, defaults left out.
    """
    ours = config.identity
    others = [other.identity for other in among if other.identity["name"] == ours["name"]]
    told = (name for name, value in ours.items() if any(other.get(name) != value for other in others))
    settings = ", ".join(f"{name} {ours[name]}" for name in told)
    label = f"{ours['name']} ({settings})" if settings else ours["name"]
    return Configured(ours["name"], label, content_key(ours)[:ID_LENGTH])


@dataclass(frozen=True)
class Arm:
    """What gets a score: training rows of one kind, source and number, and a classifier that is trained on them.

    The cells of an arm differ in their seeds alone.
    """

    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    source: Configured | None
    """Who made rows or answers: a generator or an import. Null where all rows are real."""
    classifier: Configured
    """What is trained or, where nothing is, what answers."""
    size: int | None
    """Rows for each label that the study asks for. Null where something else sets their number: the reference, the
    pool, a synthesis that fell short of its rows; and where nothing is trained."""
    rows: Rows
    """Training rows asked for by label; empty where nothing is trained."""

    @cached_property
    def id(self) -> str:
        """Names the arm in results and MLflow: a hash of the fields above, with the keys of source and classifier."""
        source = self.source.key if self.source else None
        return content_key([self.task, self.mode, source, self.classifier.key, self.size, self.rows])[:ID_LENGTH]

    @property
    def source_label(self) -> str | None:
        """The source for people; null where all rows are real."""
        return self.source.label if self.source else None

    @property
    def label(self) -> str:
        """Readable name, without the number of rows."""
        return readable(self.task, self.mode, self.source_label, self.classifier.label)

    @property
    def trained(self) -> bool:
        """Whether a classifier is trained: not by ``majority``, nor by an LLM that classifies."""
        return bool(self.rows)

    @property
    def across_tasks(self) -> "Arm":
        """The same for all tasks: what is compared from task to task."""
        return dataclasses.replace(self, task="", rows=())


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
    """Of the task, in studies and results."""
    title: str
    """For people."""
    labels: tuple[str, ...]
    """Names of the labels, in the order of the task file."""
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""
    n_train: int
    """Real training rows."""
    n_pool: int
    """Those of them that few-shot prompts may show."""
    n_test: int
    """Real test rows."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows, by the measures of ``Synthesis.diversity``."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows to the reference: the real rows that syntheses are compared with."""
    licence: str = ""
    """Of the data, as the task file states it."""
    citation: str = ""
    """Of the data, as the task file states it."""
    note: str = ""
    """What a reader of the task's scores should know: labels with fewer real rows than the study asks for."""


class OfArm:
    """The names of a record's arm, for whoever shows the record."""

    arm: Arm

    @property
    def task(self) -> str:
        """Name of the task; empty where the record is about all tasks."""
        return self.arm.task

    @property
    def mode(self) -> str:
        """Name of the mode."""
        return self.arm.mode

    @property
    def source(self) -> str | None:
        """The generator or import, for people; null where all rows are real."""
        return self.arm.source_label

    @property
    def classifier(self) -> str:
        """The classifier, for people."""
        return self.arm.classifier.label


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
    """Extra texts allowed for each label, as a multiple of the rows wanted."""
    filters: tuple[str, ...]
    """Names of what rejects texts, in order."""
    imported: ImportConfig | None = None
    """Where its rows come from when nobody is asked for them; ``generator`` then has the import's name alone."""
    fewer: Mapping[str, int] = field(default_factory=dict)
    """Labels of which fewer rows are wanted than ``rows_per_label``, and how many."""
    among: tuple[GeneratorConfig, ...] = ()
    """The study's generators, from which this one's label tells it apart."""

    @cached_property  # a synthesis shows its progress under its name after every answer
    def source(self) -> Configured:
        """Who makes the rows."""
        return configured(self.imported) if self.imported else configured(self.generator, self.among)

    @property
    def rows(self) -> dict[str, int]:
        """Rows wanted by label."""
        return {label: self.fewer.get(label, self.rows_per_label) for label in self.task.labels}

    @property
    def name(self) -> str:
        """Readable name of the synthesis."""
        return readable(self.task.name, self.mode, self.source.label, f"draw {self.draw}")


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
    """Texts that the LLM was asked for."""
    answered: int
    """Texts that came."""
    parsed: int
    """Texts that could be read out of the answer."""
    valid: int
    """Texts that no filter of single texts rejected."""
    unique: int
    """Texts that repeat no earlier one."""
    kept: int
    """Texts that became rows."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected texts by reason."""


@dataclass(frozen=True)
class Synthesis:
    """One generated data set: its ledger here, its rows in the store under ``syntheses/<key>/rows.jsonl``."""

    key: str
    """Of the data set in the store; empty where it failed before it had one."""
    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    generator: str
    """The LLM by its litellm name, or the import by its name."""
    draw: int
    """Number of the drawing: another draw of the same job has other rows."""
    status: Status
    """``failed`` where ``error`` says why there are no rows."""
    yields: FilterCounts
    """How many texts survived each step."""
    label_counts: Mapping[str, int]
    """Kept rows by label; every label of the task is a key."""
    tokens_in: int
    """Tokens read by the LLM."""
    tokens_out: int
    """Tokens written by the LLM."""
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
    """Measures of how varied the kept texts are, by name; ``<name>_error`` is the standard error of a measure."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Measures of how close the kept texts are to real ones, in the same way."""
    error: str | None = None
    """Why it failed."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been, because the provider did not say them."""
    source: Configured | None = None
    """``generator`` with its settings, as the study has them; null in the store, which serves many studies."""

    @property
    def cost_per_kept_usd(self) -> float | None:
        """What a kept row cost; null where the price is unknown or no row was kept."""
        kept = self.yields.kept
        return self.cost_usd / kept if self.cost_usd is not None and kept else None


@dataclass(frozen=True)
class CellJob:
    """What all cells of a study's grid are asked to do: train or classify, and test."""

    arm: Arm
    task: TaskConfig
    seed: int
    test_rows: int | None
    """Test rows of the study; null for all."""

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return cell_name(self.arm, self.seed)

    def ended(self, key: str, label_counts: Mapping[str, int], n_test: int, **outcome: Any) -> "Trial":
        """The trial that the cell came to; ``outcome`` are further fields of ``Trial``."""
        status: Status = "ok" if outcome.get("error") is None else "failed"
        return Trial(key, self.arm, self.seed, status, sum(label_counts.values()), n_test, label_counts, **outcome)

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", dict(self.arm.rows), 0, error=error)


@dataclass(frozen=True)
class TrialJob(CellJob):
    """One training and its test. Rows are read from the store by key inside the trial."""

    classifier: ClassifierConfig
    data_key: str
    """Key of the real rows in the store (``data/<key>``)."""
    synthesis_key: str | None
    """Null where all training rows are real."""
    draw: int
    """Seed of the choice of real rows."""
    label_counts: Mapping[str, int]
    """Training rows by label: fewer than the arm asks for where its synthesis fell short."""

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", self.label_counts, 0, error=error)


@dataclass(frozen=True)
class Trial(OfArm):
    """The outcome of one cell. Its predictions are in the store under ``trials/<key>``."""

    key: str
    """Of the trial in the store; empty where it failed before it had one."""
    arm: Arm
    """What is trained and tested."""
    seed: int
    """Of the replicate."""
    status: Status
    """``failed`` where ``error`` says why there is no score."""
    n_train: int
    """Training rows."""
    n_test: int
    """Test rows."""
    label_counts: Mapping[str, int]
    """Training rows, or those that an LLM or a count saw, by label."""
    macro_f1: float | None = None
    """0 to 1; null without a score."""
    accuracy: float | None = None
    """0 to 1; null without a score."""
    per_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Label to precision, recall, f1 and support."""
    seconds: float = 0.0
    """Wall time of training and test, of the run that made the trial."""
    cached: bool = False
    """Found in the store, nothing was trained in this run."""
    error: str | None = None
    """Why it failed."""
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
        return cell_name(self.arm, self.seed)


def cell_name(arm: Arm, seed: int) -> str:
    """Readable name of an arm's cell."""
    return readable(arm.label, f"seed {seed}")


def by_arm(trials: Iterable[Trial]) -> dict[Arm, list[Trial]]:
    """Trials by arm, in the order of their first ones; those of an arm by seed. Of two of one cell the first counts."""
    found: dict[Arm, dict[int, Trial]] = {}
    for trial in trials:
        found.setdefault(trial.arm, {}).setdefault(trial.seed, trial)
    return {arm: [by_seed[seed] for seed in sorted(by_seed)] for arm, by_seed in found.items()}


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its 95% interval."""

    mean: float
    """The estimate."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Macro-F1 of a mode minus that of matched real rows (negative is a loss), paired by seed and test row."""

    mean: float
    """The estimate."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""
    p: float
    """Two-sided permutation p-value."""
    p_corrected: float
    """The same after Holm's correction over all comparisons of the study."""
    effect: float | None = None
    """Effect size: the mean gap over the standard deviation of its seeds (Cohen's d of paired samples); null for one
    seed or seeds that do not differ."""
    seeds_needed: int | None = None
    """Seeds that would show a true loss of the study's tolerance, at power .8 and level .05, on the same test rows;
    null where 200 would not, because the test rows' share of the variance is too large, and with one seed, which shows
    no variance of seeds."""
    test_rows_needed: int | None = None
    """Test rows that would show it with the study's seeds; null where 100,000 would not, because the seeds' share is
    too large, and with one seed."""


@dataclass(frozen=True)
class Comparison(OfArm):
    """All seeds of an arm against real rows, as a rule as many."""

    arm: Arm
    """What was trained and tested."""
    seeds: tuple[int, ...]
    """Seeds whose trials finished."""
    macro_f1: Interval | None
    """Null when no trial finished."""
    accuracy: Interval | None
    """Null when no trial finished."""
    gap: Gap | None
    """Null for the real rows themselves, where either side has no finished trial, and on fewer than 20 test rows."""
    good_enough: GoodEnough
    """Whether the loss is within the study's tolerance: ``yes`` where the gap's whole interval is, ``no`` where none of
    it is, else ``undecided``; ``none`` without a gap."""
    verdict: str
    """The same in words, with the reason."""
    n_train: int | None = None
    """Training rows of a trial, the mean over seeds."""
    against: str = ""
    """The real rows of the gap in plain words; empty without a gap."""
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
    """Name of the task."""
    source: Literal["raters", "annotators", ""]
    """Whose agreement it is: human raters of the data, the panel of LLM annotators, or nobody's."""
    items: int = 0
    """Test rows with an agreement."""
    raters: float | None = None
    """Mean raters per item; null where the data does not say."""
    mean_agreement: Interval | None = None
    """Mean over items of a_i, the share of raters who chose the most frequent label."""
    krippendorff_alpha: float | None = None
    """Agreement of raters beyond chance: 1 is full agreement, 0 what chance gives; null where it cannot be computed."""
    fleiss_kappa: float | None = None
    """The same by Fleiss, for items with equally many raters."""
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
    """Least agreement of the test rows, 0 to 1."""
    items: int
    """Test rows."""
    accuracy: Interval
    """0 to 1, over seeds."""


@dataclass(frozen=True)
class Curve(OfArm):
    """Accuracy of an arm over agreement thresholds (Li et al. 2023, section 5)."""

    arm: Arm
    """What was trained and tested."""
    points: tuple[CurvePoint, ...]
    """By rising threshold; empty where ``note`` says why."""
    slope: Interval | None = None
    """Accuracy gained over the curve's range of gamma: the last point's minus the first's."""
    steeper: Interval | None = None
    """``slope`` minus that of matched real rows; null for real rows themselves."""
    note: str = ""
    """Why something above is missing."""


@dataclass(frozen=True, slots=True)
class Association:
    """A rank correlation with its 95% interval over tasks and its p-value."""

    value: float
    """The correlation, -1 to 1."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""
    p: float
    """Two-sided p-value."""


@dataclass(frozen=True)
class Correlation(OfArm):
    """How the gap of an arm goes with the subjectivity of tasks. Negative: subjective tasks lose more."""

    arm: Arm
    """``Arm.across_tasks`` of the tasks' arms."""
    measure: Literal["strength", "disagreement"]
    """Bradley-Terry strength, or 1 - mean agreement."""
    tasks: int
    """How many tasks it is over."""
    spearman: Association | None = None
    """Spearman's rank correlation."""
    kendall: Association | None = None
    """Kendall's tau."""
    note: str = ""
    """Why there is none: fewer than 3 tasks, ..."""


@dataclass(frozen=True)
class Finding:
    """One finding of the study by Li et al. 2023, tested on this study's own numbers."""

    name: str
    """Id of the finding."""
    claim: str
    """In plain words."""
    verdict: Literal["confirmed", "refuted", "undecided"]
    """Whether the numbers of this study show it."""
    evidence: str
    """The numbers that decide it, in one or two sentences."""


@dataclass(frozen=True)
class Challenge:
    """One LLM's rows against those of the champion, the best so far, of the same task and mode."""

    task: str
    """Name of the task."""
    mode: str
    """The challenger's; empty where all modes of the task compete."""
    classifier: str
    """The classifier that both were trained with."""
    challenger: str
    """What wrote its training rows: the LLM and, where all modes compete, the mode."""
    champion: str | None
    """The same of the champion until now; null when there was none."""
    outcome: Outcome
    """``first`` where there was no champion; ``better`` and ``worse`` only beyond chance."""
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
