"""Saves a probe to files and loads it: the encoder's name, the labels and the coefficients, without pickle.

This file is logged together with a model (``tasks/tracking/registry.py``), so that ``mlflow.pyfunc.load_model`` needs
torch and transformers but not synthgap. Therefore it does not import synthgap.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

ABOUT, COEFFICIENTS = "probe.json", "coefficients.npz"
BATCH = 64
"""Texts that are embedded at once."""


@dataclass(frozen=True)
class About:
    """The content of ``probe.json``."""

    encoder: str
    """Hub id or folder of the encoder; for a packaged encoder, the name of its Python module."""
    package: str | None
    """Distribution of the module; null for a hub id or a folder."""
    revision: str | None
    """Commit on the hub; null for the newest commit and for other encoders."""
    fingerprint: str
    """Version of the package, hash of the folder's files, or revision on the hub."""
    folder: bool
    """Whether ``encoder`` is a folder of this machine."""
    max_length: int
    """Tokens after which a text is cut."""
    labels: tuple[str, ...]
    """In the order of the coefficients' rows."""


def save(folder: Path, about: About, weights: "np.ndarray", intercepts: "np.ndarray") -> None:
    """Write a probe: ``weights`` (labels, width) and ``intercepts`` (labels) of the softmax's logits."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / COEFFICIENTS, weights=weights, intercepts=intercepts)
    (folder / ABOUT).write_text(json.dumps(asdict(about), indent=1), encoding="utf-8")


def _load_pyfunc(path: str) -> "Probe":
    """Entry point for MLflow."""
    return Probe(Path(path))


class Probe:
    """A probe that is ready to classify, on the CPU."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        import torch
        from transformers import AutoModel, AutoTokenizer

        fields = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self.about = About(**fields | {"labels": tuple(fields["labels"])})
        with np.load(folder / COEFFICIENTS, allow_pickle=False) as stored:
            self.weights, self.intercepts = stored["weights"], stored["intercepts"]
        options: dict[str, Any] = {"revision": self.about.revision or "main", "trust_remote_code": False}
        source = _source(self.about)
        self.tokenizer = AutoTokenizer.from_pretrained(source, **options)
        self.model = AutoModel.from_pretrained(source, dtype=torch.float32, **options).eval()

    def predict(self, model_input: Any, params: Any = None) -> "DataFrame":
        """Label and score (the label's probability) of each text, one row each.

        ``model_input`` is a text, a list of texts, or a table with the texts in its first column. MLflow passes
        ``params`` to every model; it is not used.
        """
        import numpy as np
        from pandas import DataFrame
        from scipy.special import softmax

        texts = _texts(model_input)
        batches = [self._embed(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        vectors = np.concatenate([np.zeros((0, self.weights.shape[1])), *batches])
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(float).tiny)
        probabilities = softmax(vectors @ self.weights.T + self.intercepts, axis=1)
        best = probabilities.argmax(axis=1)
        scores = probabilities[np.arange(len(texts)), best]
        return DataFrame({"label": [self.about.labels[i] for i in best], "score": scores})

    def _embed(self, texts: list[str]) -> "np.ndarray":
        """Mean-pooled last hidden states (texts, width), like those that the probe was fitted on."""
        import numpy as np
        import torch

        longest = min(self.about.max_length, self.tokenizer.model_max_length)
        batch = self.tokenizer(texts, truncation=True, max_length=longest, padding=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled: np.ndarray = ((hidden * mask).sum(1) / mask.sum(1)).numpy().astype(np.float64)
        return pooled


def _source(about: About) -> str:
    """Folder or hub id of the encoder. Raises ``RuntimeError`` if it is missing or has changed."""
    if about.package:
        found = util.find_spec(about.encoder)
        version = metadata.version(about.package) if found else None
        if found is None or not found.submodule_search_locations or version != about.fingerprint:
            has = f"version {version}" if version else "not installed"
            raise RuntimeError(
                f"this probe needs the package {about.package}=={about.fingerprint}, here it is {has}; "
                f"pip install {about.package}=={about.fingerprint}"
            )
        return str(Path(found.submodule_search_locations[0]) / "model")
    if about.folder and (not Path(about.encoder).is_dir() or folder_hash(Path(about.encoder)) != about.fingerprint):
        raise RuntimeError(f"this probe needs the encoder in the folder {about.encoder!r}, which is missing or changed")
    return about.encoder


def folder_hash(folder: Path) -> str:
    """Hash of a folder's files, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _texts(model_input: Any) -> list[str]:
    if isinstance(model_input, str):
        return [model_input]
    if hasattr(model_input, "columns"):
        model_input = model_input.iloc[:, 0]
    items: Sequence[Any] = model_input.tolist() if hasattr(model_input, "tolist") else model_input
    return [str(item) for item in items]
