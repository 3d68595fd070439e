"""Content keys of journals and generated data sets: hashes of everything that affects them, and of nothing else.

A calls key names a journal and covers the LLM and its prompts. A synthesis key names a data set and covers the calls,
the number of rows wanted and the filters. So more rows or another filter cost only the additional calls.
"""

import functools
import random

from tasks.errors import UserError
from tasks.generation.filter import text_hash
from tasks.generation.filters import find_filters
from tasks.generation.form import ONE_TEXT, Form
from tasks.generation.mode import PromptInputs, PromptTemplate
from tasks.generation.modes import find_mode
from tasks.llm import calls
from tasks.llm.calls import Request
from tasks.llm.prices import takes_schema
from tasks.records import Example, SynthesisJob, TaskData, canonical, content_key, key_of_parts

SAMPLES = 3
"""Prompts of each label that are part of a key, so that a changed prompt changes the key."""


def template_of(job: SynthesisJob) -> PromptTemplate:
    """The prompts of a job. Raises ``UserError`` for a mode without LLM calls."""
    template = find_mode(job.mode).template
    if template is None:
        raise UserError(f"mode {job.mode!r} asks no LLM, there is nothing to generate")
    return template


def form_of(job: SynthesisJob) -> Form:
    """The form of a generator's answers."""
    generator = job.generator
    if generator.texts_per_call == 1:
        return ONE_TEXT
    known = takes_schema(generator.model) if generator.json_schema is None else generator.json_schema
    return Form(generator.texts_per_call, known)


def call_id(label: str, index: int, turns: int) -> str:
    """Id of a label's call: label, conversation and turn."""
    return f"{label}/{index // turns}/{index % turns}"


def place_of(call: str, turns: int) -> tuple[str, int]:
    """The label and index of a call by its id."""
    label, conversation, turn = call.rsplit("/", 2)
    return label, int(conversation) * turns + int(turn)


def request(job: SynthesisJob, data: TaskData, label: str, index: int, earlier: tuple[str, ...] = ()) -> Request:
    """A label's call by its index. It depends only on task, template, pool, draw and the conversation so far."""
    template = template_of(job)
    examples = tuple(row for row in data.pool if row.label == label) if template.uses_pool else ()
    seed = int(content_key([template.name, label, job.draw, index])[:7], 16)
    form = form_of(job)
    inputs = PromptInputs(job.task, label, examples, random.Random(seed), earlier, form)
    longest = calls.longest_answer(job.generator, job.task.max_words)
    completions = calls.completions(job.generator)
    return Request(tuple(template.messages(inputs)), job.generator, longest, seed, completions, form.schema)


def calls_key(job: SynthesisJob, data: TaskData) -> str:
    """Key of the journal: template, prompts, pool, model with its parameters and server, draw."""
    template = template_of(job)
    firsts = [request(job, data, label, i * template.turns) for label in job.task.labels for i in range(SAMPLES)]
    parts = {
        "writer": [template.name, template.version, template.turns],
        "prompts": [[first.messages, first.max_tokens, first.seed] for first in firsts],
        "second_turn": [request(job, data, label, 1, ("",)).messages for label in job.task.labels]
        if template.turns > 1
        else [],
        "pool": [],
        "model": job.generator.model,
        "sampling": calls.sampling(job.generator),
        "completions": calls.completions(job.generator),
        "schema": form_of(job).schema,
        "draw": job.draw,
        **({"endpoint": server} if (server := job.generator.endpoint or job.generator.api_base) else {}),
    }
    shown = {"pool": _pool_json(data)} if template.uses_pool else {}
    return key_of_parts({name: canonical(value) for name, value in parts.items()} | shown)


@functools.lru_cache(maxsize=64)
def test_hashes(test: tuple[Example, ...]) -> frozenset[str]:
    """Hashes of the normalised test texts, the only information about the test set that filters get."""
    return frozenset(text_hash(row.text) for row in test)


def synthesis_key(job: SynthesisJob, data: TaskData) -> str:
    """Key of the data set: its calls, rows wanted, texts allowed, filters, and the texts that filters compare with."""
    parts = {"calls": calls_key(job, data), "extra_texts": job.extra_texts}
    return key_of_parts({name: canonical(value) for name, value in parts.items()} | filter_parts(job, data))


def filter_parts(job: SynthesisJob, data: TaskData) -> dict[str, str]:
    """The parts of a data set's key besides its calls or rows, as canonical JSON: rows wanted, filters, and the texts
    that filters compare with.
    """
    parts = {
        "rows_per_label": job.rows if job.fewer else job.rows_per_label,
        "filters": [[item.spelling, item.version] for item in find_filters(job.filters)],
        "longest": job.task.max_words,
        "language": job.task.language,
    }
    written = {name: canonical(value) for name, value in parts.items()}
    return written | {"pool": _pool_json(data), "test": _test_json(data)}


@functools.lru_cache(maxsize=8)  # part of the keys of all syntheses of a task
def _pool_json(data: TaskData) -> str:
    return canonical(data.pool)


@functools.lru_cache(maxsize=8)
def _test_json(data: TaskData) -> str:
    return canonical(test_hashes(data.test))
