"""Fine-tuning of any transformers encoder with a new classification head (Devlin et al. 2019).

All modes and sizes have the same rule of training length: ``epochs`` passes, but at least ``min_steps`` optimiser
steps, because fine-tuning on few rows fails mostly if it stops too early (Mosbach et al. 2021).
"""

import logging
import math
import random
import shutil
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.config import EMBEDDED_CLASSIFIER, ClassifierConfig
from tasks.errors import RunError
from tasks.training import encoders
from tasks.training.request import Training

if TYPE_CHECKING:
    import numpy as np

PREFIX = ""
"""A name without the prefix of another kind is the name of an encoder."""

LEARNING_RATES = {EMBEDDED_CLASSIFIER: 1e-4}
"""Tuned peak learning rates (docs/LOG.md)."""

MODEL_OPTIONS = {EMBEDDED_CLASSIFIER: {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}}
"""Tuned changes to a model's own config. In 50 steps, dropout only slows the training of a small encoder
(docs/LOG.md)."""

FROZEN_WORDS = {EMBEDDED_CLASSIFIER}
"""Encoders whose word embeddings are not trained. They are half of the packaged encoder's parameters and take a third
of a step's time, and training them on a few hundred rows changes no score (docs/LOG.md)."""

LEARNING_RATE = 3e-5
"""For encoders of BERT's size, from the range of Devlin et al. 2019, appendix A.3."""

MICRO_BATCHES = 2
"""Parts of a batch that the encoder computes one after the other on a CPU. The texts of a part have similar lengths,
which saves padding and memory and does not change the gradient (docs/LOG.md)."""

SAVES = "transformers"
"""A training can write its model to a folder in the format of transformers."""

WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01


def check(config: ClassifierConfig) -> None:
    """Raises ``UserError`` for an impossible encoder name."""
    encoders.find_encoder(config.model, config.revision)


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """Everything that affects a training, including defaults."""
    encoder = encoders.find_encoder(config.model, config.revision)
    return {
        **encoder.identity,
        "epochs": config.epochs,
        "min_steps": config.min_steps,
        "learning_rate": config.learning_rate or LEARNING_RATES.get(config.model, LEARNING_RATE),
        "batch_size": config.batch_size,
        "max_length": config.max_length,
        "frozen_words": config.model in FROZEN_WORDS,
        **MODEL_OPTIONS.get(config.model, {}),
    }


def steps(rows: int, config: ClassifierConfig) -> int:
    """Optimiser steps of a training on ``rows`` rows."""
    return max(config.min_steps, config.epochs * math.ceil(rows / config.batch_size))


def fit_predict(training: Training) -> "np.ndarray":
    """Fine-tune on the training rows; returns probabilities of the test texts, float64 (texts, labels).

    Raises ``RunError`` if the encoder cannot be loaded or the training diverges.
    """
    import torch

    library = encoders.transformers()
    torch.set_num_threads(training.threads)
    on_gpu = torch.cuda.is_available()
    encoder = encoders.find_encoder(training.config.model, training.config.revision)
    tokenizer = encoders.load(encoder, library.AutoTokenizer.from_pretrained)
    library.set_seed(training.seed)  # before loading, which draws the head's initial weights
    model = encoders.load(
        encoder,
        library.AutoModelForSequenceClassification.from_pretrained,
        num_labels=len(training.labels),
        dtype=torch.float32,
        attn_implementation="sdpa" if on_gpu else "eager",  # sdpa's backward is slow on CPUs
        ignore_mismatched_sizes=True,  # a head from an earlier fine-tuning is replaced
        **MODEL_OPTIONS.get(training.config.model, {}),
    )
    encoders.check_finite(model, encoder.name, "as loaded")
    model.get_input_embeddings().requires_grad_(encoder.name not in FROZEN_WORDS)
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(library, training, model, tokenizer, folder, on_gpu)
        loss = trainer.train().training_loss
        if not math.isfinite(loss):
            rate = trainer.args.learning_rate
            raise RunError(f"training diverged: its loss is {loss} at learning_rate {rate:g}; try a lower one")
        encoders.check_finite(model, encoder.name, "after training")
        if training.save_to:
            _save(model, tokenizer, training.labels, training.save_to)
        return _predict(trainer, encoders.tokenize(tokenizer, training.test_texts, training.config.max_length))


def _save(model: Any, tokenizer: Any, labels: Sequence[str], folder: str) -> None:
    """Write the model with its labels. If that fails, such as on a full disk, the model is lost but not the trial."""
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: i for i, label in enumerate(labels)}
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except Exception:  # the libraries raise errors of many types
        logging.getLogger(__name__).exception("a model could not be written")
        shutil.rmtree(folder, ignore_errors=True)


def _trainer(library: Any, training: Training, model: Any, tokenizer: Any, folder: str, on_gpu: bool) -> Any:
    from tasks.training import packing

    config = training.config
    rows = encoders.tokenize(tokenizer, training.texts, config.max_length)
    number = {label: i for i, label in enumerate(training.labels)}
    rows = [row | {"labels": number[label]} for row, label in zip(rows, training.row_labels, strict=True)]
    random.Random(training.seed).shuffle(rows)  # the sampler below shuffles with its own seed
    total = steps(len(rows), config)
    parts = 1 if on_gpu else math.gcd(config.batch_size, MICRO_BATCHES)
    packed = not on_gpu and packing.can_pack(model.config)  # on a GPU, attention for each text is slow
    if packed and not 0 < len(rows) % config.batch_size < parts:  # else the sampler repeats rows for the parts
        parts = 1
    arguments = library.TrainingArguments(
        output_dir=folder,
        max_steps=total,
        per_device_train_batch_size=config.batch_size // parts,
        gradient_accumulation_steps=parts,
        train_sampling_strategy="batch_rebalance",
        per_device_eval_batch_size=encoders.PREDICT_BATCH,
        learning_rate=resolve(config)["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(WARMUP_SHARE * total),
        weight_decay=WEIGHT_DECAY,
        optim="adamw_torch_fused",
        seed=training.seed,
        bf16=training.precision == "bf16",
        use_cpu=not on_gpu,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # a diverged loss must be visible
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
        label_names=["labels"],  # the Trainer cannot find them for a packed model
    )
    trainer = library.Trainer(
        model=packing.Packed(model) if packed else model,
        args=one_device(arguments),
        train_dataset=rows,
        data_collator=packing.collate if packed else library.DataCollatorWithPadding(tokenizer),
        compute_loss_func=_mean_loss,
        processing_class=tokenizer,
    )
    trainer.remove_callback(library.PrinterCallback)  # it prints the logs
    return trainer


def one_device(arguments: Any) -> Any:
    """``TrainingArguments`` that use one of the GPUs that torch sees.

    With several GPUs the Trainer would put ``per_device_train_batch_size`` rows on each, a larger batch under the same
    key. A worker sees only one NVIDIA GPU (``devices``); this function is for other makes and other callers.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)  # there is no public setter; the Trainer itself does the same
    return arguments


def _mean_loss(outputs: Any, labels: Any, num_items_in_batch: Any) -> Any:
    """The contribution of a part of a batch to the batch's mean cross-entropy. The parts differ in size."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs["logits"], labels, reduction="sum") / num_items_in_batch


def _predict(trainer: Any, rows: list[dict[str, Any]]) -> "np.ndarray":
    import numpy as np
    from scipy.special import softmax

    order = encoders.by_length(rows)
    logits = trainer.predict([rows[i] for i in order]).predictions
    probabilities = np.empty(logits.shape, np.float64)
    probabilities[order] = softmax(logits.astype(np.float64), axis=1)
    return probabilities
