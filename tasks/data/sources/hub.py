"""Data sets on the Hugging Face hub; the only importer of ``datasets``."""

import os
import re
from typing import Any

from tasks.config import HubSource
from tasks.data.sources.reading import Reading, UnavailableError, check_columns, to_examples
from tasks.errors import UserError
from tasks.records import Example

COMMIT = re.compile(r"[0-9a-f]{40}")


def read_hub(source: HubSource, task: str) -> Reading:
    """Rows of a ``HubSource``. Raises ``UnavailableError`` if the hub or the data set cannot be reached.

    ``task`` is the task's name, for the message that says where else its rows can be stored.
    """
    name = "/".join(part for part in (source.path, source.config) if part)
    train, notes = read_split(source, source.train, task)
    test: list[Example] | None = None
    if source.test is not None:
        test, more = read_split(source, source.test, task)
        notes += more
    pinned = source.revision is not None and COMMIT.fullmatch(source.revision)
    revision = f"at {source.revision}" if source.revision else ""
    title = " ".join(part for part in ("hub", name, revision, "" if pinned else "(not pinned)") if part)
    return Reading(train, test, title, tuple(notes), f"{name} {source.train}", f"{name} {source.test}")


def read_split(source: HubSource, split: str, task: str) -> tuple[list[Example], list[str]]:
    """The examples of one split, and notes on rows left out; raises like ``read_hub``."""
    where = f"hub data set {source.path!r}, split {split!r}"
    data = _load(source, split, task)
    check_columns(data.column_names, source, where)
    columns = [column for column in (source.text, source.label, source.agreement) if column]
    values = data.select_columns(columns)[:]
    rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
    examples, left_out = to_examples(rows, source, where, _class_names(data.features[source.label]))
    return examples, [f"{left_out} rows of {split} left out by their label"] if left_out else []


def _load(source: HubSource, split: str, task: str) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import datasets

    datasets.disable_progress_bars()
    if source.path in datasets.load._PACKAGED_DATASETS_MODULES:
        raise UserError(f"{source.path!r} is a format, not a data set of the hub; name a repository or a folder")
    try:
        return datasets.load_dataset(source.path, source.config, split=split, revision=source.revision)
    except ValueError as error:  # a split or configuration that the data set does not have
        raise UserError(f"hub data set {source.path!r}, split {split!r}: {_line(error)}") from None
    except (OSError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        check = (
            "HF_HUB_OFFLINE forbids to fetch it" if datasets.config.HF_HUB_OFFLINE else "check the network and HF_TOKEN"
        )
        raise UnavailableError(
            f"cannot load {source.path!r} from the hub ({_line(error)}); {check}, or set "
            f"SYNTHGAP_DATA_DIR to a folder that holds {task}/train.csv"
        ) from error


def _class_names(feature: Any) -> list[str]:
    """Names of a class label, also of one inside a list."""
    feature = getattr(feature, "feature", feature)
    return list(getattr(feature, "names", None) or ())


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
