"""A task YAML from the user's own files: columns found, labels collected, comments that say what to edit."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from tasks.config import FileSource
from tasks.data.catalog import make_task, names
from tasks.data.sources.files import read_files
from tasks.data.sources.reading import Reading
from tasks.data.sources.tables import read_columns
from tasks.data.split import split
from tasks.errors import UserError

TEXT_COLUMNS = (
    "text", "sentence", "message", "review", "content", "comment", "body", "headline", "title", "tweet", "post", "sms",
    "document", "utterance", "query", "question", "description", "input",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "category", "target", "labels", "label_name", "label_text", "sentiment", "intent", "topic",
    "emotion", "tag", "output", "y",
)  # fmt: skip
NOUNS = (
    "sentence", "message", "review", "comment", "headline", "title", "tweet", "post", "document", "query", "question",
    "description",
)  # fmt: skip
"""Text columns whose name says what a text is."""
MOST_LABELS = 200
"""A column with more different values contains texts, numbers or ids rather than labels."""
LONGEST_LABEL = 100
POOL_SHARE = 0.1

TEMPLATE = """\
# A task for synthgap, written from {files}.
# Edit what is marked: the LLM sees these words, and they decide how good its texts are. Then put the path of this
# file into a study:  tasks: [./{name}.yaml]
name: {quoted_name}
title: {title}

# EDIT: what one text is, as a noun phrase ("a text message (SMS)", "a sentence from a film review").
text: {text}

# EDIT: the scene: who writes such texts, where, and about what.
context: {context}

# EDIT: after each colon say what the label means, as a noun phrase ("an unasked-for commercial message").
labels:
{labels}

# EDIT: how such texts are written (tone, length, spelling), without naming a label.
style: {style}

# Longest text to ask for, in words: 95 of 100 of your training texts are no longer.
max_words: {max_words}

# Language of your texts (ISO 639-1); generated texts in another are rejected. null accepts any.
language: en

# Your real rows. Paths are relative to this file. label_map (raw value: label name) renames labels.
sources:
  - kind: files
    train: {train}
    test: {test}{test_comment}
    text: {text_column}
    label: {label_column}
    agreement: {agreement}  # column with the share of annotators behind the label, 0 to 1
"""


def new_task(name: str, train: Path, test: Path | None, text: str | None, label: str | None, out: Path) -> Path:
    """Write ``NAME.yaml`` into the folder ``out`` for the rows in ``train`` and ``test``, and return its path.

    ``text`` and ``label`` name the columns; null finds them by their usual names. Raises ``UserError`` if that
    fails, if the rows make no task, if the name is that of a shipped task, or if the file exists already.
    """
    if name in names():
        raise UserError(f"{name!r} is a task of the catalog; choose another name, so that results do not mix them up")
    path = out.resolve() / f"{name}.yaml"
    if path.exists():
        raise UserError(f"{str(path)!r} exists already; remove it or choose another name")
    source = _source(train, test, text, label)
    reading = read_files(source)
    yaml_text = _render(name, source, reading, path.parent)
    task = make_task(yaml.safe_load(yaml_text), path)
    split(task, reading, POOL_SHARE)
    _write(path, yaml_text)
    return path


def find_column(columns: Sequence[str], usual: Sequence[str], option: str) -> str:
    """The first usual name among the columns, whatever its case; raises ``UserError`` that names the option."""
    by_name = {column.lower(): column for column in reversed(columns)}
    for name in usual:
        if name in by_name:
            return by_name[name]
    raise UserError(
        f"cannot tell which column holds the {option}; name it with --{option}. Columns: {', '.join(columns)}"
    )


def _source(train: Path, test: Path | None, text: str | None, label: str | None) -> FileSource:
    columns = read_columns(train)
    tested = columns if test is None else read_columns(test)
    return FileSource(
        train=str(train.resolve()),
        test=None if test is None else str(test.resolve()),
        text=text or find_column(columns, TEXT_COLUMNS, "text"),
        label=label or find_column(columns, LABEL_COLUMNS, "label"),
        agreement="agreement" if "agreement" in columns and "agreement" in tested else None,
    )


def _render(name: str, source: FileSource, reading: Reading, folder: Path) -> str:
    labels = _labels(source, reading)
    noun = source.text.lower() if source.text.lower() in NOUNS else "short text"
    topic = name.replace("_", " ").replace("-", " ")
    words = sorted(len(row.text.split()) for row in reading.train)
    longest = words[math.ceil(0.95 * len(words)) - 1]
    return TEMPLATE.format(
        files=" and ".join(Path(file).name for file in (source.train, source.test) if file),
        name=name,
        quoted_name=_quoted(name),
        title=_quoted(f"Which of {len(labels)} labels does a text have? ({name})"),
        text=_quoted(f"a {noun}"),
        context=_quoted(f"Imagine that you are one of many different people who write a {noun} about {topic}."),
        labels="\n".join(f"  {_quoted(label)}: {_quoted(label)}" for label in labels),
        style=_quoted("natural and varied, as different people would write it"),
        max_words=max(10, math.ceil(longest / 5) * 5),
        train=_quoted(_relative(source.train, folder)),
        test="null" if source.test is None else _quoted(_relative(source.test, folder)),
        test_comment="" if source.test else "  # null splits a fifth of the rows off as test rows",
        text_column=_quoted(source.text),
        label_column=_quoted(source.label),
        agreement="null" if source.agreement is None else _quoted(source.agreement),
    )


def _labels(source: FileSource, reading: Reading) -> list[str]:
    """Label names, the most frequent first."""
    counts = Counter(row.label for row in reading.train)
    if "" in counts:
        raise UserError(f"{reading.train_name}: {counts['']} rows have no label in column {source.label!r}")
    if len(counts) > MOST_LABELS or max(map(len, counts)) > LONGEST_LABEL:
        raise UserError(
            f"{reading.train_name}: column {source.label!r} has {len(counts)} different values, the longest of "
            f"{max(map(len, counts))} characters: too many (over {MOST_LABELS}) or too long (over {LONGEST_LABEL}) for "
            f"labels; name the column of labels with --label"
        )
    if len(counts) < 2:
        raise UserError(f"{reading.train_name} has only one label, {next(iter(counts))!r}; a task needs at least two")
    return [label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _relative(file: str, folder: Path) -> str:
    """Relative if the file is below the YAML's folder, so that both can be moved together; otherwise absolute."""
    path = Path(file)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else file


def _quoted(value: str) -> str:
    """A double-quoted YAML scalar: YAML accepts JSON's escapes."""
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{str(path)!r} exists already; remove it or choose another name") from None
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror}") from None
