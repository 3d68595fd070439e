"""Is fine-tuning on a CPU close to its arithmetic lower bound, and as good as a plain Trainer? One row for each figure.

    python -m benchmarks.training --tasks sms_spam --seeds 0 1 2

Two methods alternately train the packaged encoder on the same real rows and predict the same test rows, on one thread
of one worker process: a plain ``transformers.Trainer`` (random batches, each padded to its longest text, all parameters
trained) and the product, with the same steps, batch size, learning rate, warm-up, weight decay and dropout. Seconds are
CPU seconds, to reduce the effect of other work on the machine.

The lower bound ("floor") is the time of the matrix products of all steps and of the prediction, without padding, at the
rate of such products measured just before and after each training. It does not include optimiser, softmax, other
functions and copies. In the last layer it counts only the first token of each text where that is sufficient. Exits with
1 if a limit is missed.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.generation import Figure
from tasks.config import EMBEDDED_CLASSIFIER, ClassifierConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.records import Example
from tasks.settings import Settings
from tasks.training import encoders, worker
from tasks.training.classifiers import finetune
from tasks.training.evaluate import evaluate
from tasks.training.request import Training

MOST_OF_FLOOR, MOST_LOST = 1.5, 0.02
TASKS, ROWS, TEST, SEEDS = ("sms_spam", "headline_sarcasm"), 400, 1000, (0, 1, 2)
CLASSIFIER = ClassifierConfig(model=EMBEDDED_CLASSIFIER)
PRODUCTS = 20

Way = Callable[[Training], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """One training and its prediction, in a worker process."""

    seconds: float
    """CPU seconds."""
    probabilities: np.ndarray
    floor: float
    """CPU seconds of the lower bound, at the rate measured just before and after the training."""


def plain(training: Training) -> np.ndarray:
    """The usual code of a user of transformers; returns probabilities like ``fit_predict``."""
    import torch

    library = encoders.transformers()
    torch.set_num_threads(training.threads)
    encoder = encoders.find_encoder(training.config.model)
    tokenizer = encoders.load(encoder, library.AutoTokenizer.from_pretrained)
    library.set_seed(training.seed)
    model = encoders.load(
        encoder,
        library.AutoModelForSequenceClassification.from_pretrained,
        num_labels=len(training.labels),
        dtype=torch.float32,
        **finetune.MODEL_OPTIONS[training.config.model],
    )
    rows = encoders.tokenize(tokenizer, training.texts, training.config.max_length)
    for row, label in zip(rows, training.row_labels, strict=True):
        row["labels"] = training.labels.index(label)
    steps = finetune.steps(len(rows), training.config)
    with tempfile.TemporaryDirectory() as folder:
        trainer = library.Trainer(
            model=model,
            args=library.TrainingArguments(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=training.config.batch_size,
                learning_rate=finetune.resolve(training.config)["learning_rate"],
                warmup_steps=round(finetune.WARMUP_SHARE * steps),
                weight_decay=finetune.WEIGHT_DECAY,
                seed=training.seed,
                use_cpu=True,
                save_strategy="no",
                disable_tqdm=True,
                report_to="none",
            ),
            train_dataset=rows,
            data_collator=library.DataCollatorWithPadding(tokenizer),
        )
        trainer.remove_callback(library.PrinterCallback)
        trainer.train()
        test = encoders.tokenize(tokenizer, training.test_texts, training.config.max_length)
        logits = trainer.predict(test).predictions
    probabilities: np.ndarray = torch.tensor(logits).double().softmax(1).numpy()
    return probabilities


def spent(training: Training) -> float:
    """CPU seconds of a training in this process, including imports that are still missing."""
    start = time.process_time()
    finetune.fit_predict(training)
    return time.process_time() - start


def measured(way: Way, training: Training) -> Measured:
    """Train by one method in this process, and measure it."""
    import torch

    torch.set_num_threads(training.threads)
    before = _floor(training)
    start = time.process_time()
    probabilities = way(training)
    seconds = time.process_time() - start
    return Measured(seconds, probabilities, (before + _floor(training)) / 2)


def _floor(training: Training) -> float:
    """CPU seconds of the matrix products that a training needs, at the current rate of such products.

    A product of (m, k) and (k, n) matrices takes 2 m k n operations. Its two gradients take twice as many (Kaplan et
    al. 2020, 2001.08361, section 2.1). A layer multiplies each token by 12 width^2 weights if its intermediate size is
    four times its width, and has products of all pairs of tokens of each text, for attention scores and weighted sums.
    """
    import torch

    library = encoders.transformers()
    encoder = encoders.find_encoder(training.config.model)
    shape = encoders.load(encoder, library.AutoConfig.from_pretrained)
    tokenizer = encoders.load(encoder, library.AutoTokenizer.from_pretrained)
    width, middle = shape.hidden_size, shape.intermediate_size

    def operations(texts: Sequence[str]) -> int:
        rows = encoders.tokenize(tokenizer, texts, training.config.max_length)
        tokens = np.array([len(row["input_ids"]) for row in rows])
        layers = shape.num_hidden_layers - 1
        whole = layers * (2 * tokens * (4 * width**2 + 2 * width * middle) + 4 * tokens**2 * width)
        last = 2 * (2 * tokens * width**2 + 2 * width**2 + 2 * width * middle) + 4 * tokens * width
        return int((whole + last).sum())

    trained = operations(training.texts) / len(training.texts) * training.config.batch_size
    steps = finetune.steps(len(training.texts), training.config)
    seconds = done = 0.0
    rows = 512  # about the number of tokens in a batch
    for inner, outer in ((width, width), (width, middle), (middle, width)):
        left, right = torch.randn(rows, inner), torch.randn(inner, outer)
        torch.mm(left, right)
        start = time.process_time()
        for _ in range(PRODUCTS):
            torch.mm(left, right)
        seconds += time.process_time() - start
        done += PRODUCTS * 2 * rows * inner * outer
    return (3 * steps * trained + operations(training.test_texts)) * seconds / done


def real_training(task: str, rows: int, test_rows: int, seed: int) -> tuple[Training, list[str]]:
    """A training on an equal number of real rows of each label, and the labels of its test rows."""
    data = load(find_task(task, Path.cwd()), Settings(data_dir=None), 0.1)
    labels, generator = tuple(data.task.labels), random.Random(seed)
    chosen: list[Example] = []
    for label in labels:
        chosen += generator.sample([row for row in data.train if row.label == label], rows // len(labels))
    test = generator.sample(list(data.test), min(test_rows, len(data.test)))
    training = Training(
        config=CLASSIFIER,
        labels=labels,
        texts=tuple(row.text for row in chosen),
        row_labels=tuple(row.label for row in chosen),
        test_texts=tuple(row.text for row in test),
        seed=seed,
        precision="fp32",
        threads=1,
    )
    return training, [row.label for row in test]


def figures(options: argparse.Namespace, task: str) -> Iterator[Figure]:
    """Both methods on one task."""
    ways: dict[str, Way] = {"plain Trainer": plain, "synthgap": finetune.fit_predict}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, list[float]] = {name: [] for name in ways}
    floors = []
    for seed in options.seeds:
        training, truth = real_training(task, options.rows, options.test_rows, seed)
        for name, way in ways.items():
            found = worker.call(measured, way, training)
            predicted = [training.labels[best] for best in found.probabilities.argmax(1)]
            scores[name].append(evaluate(truth, predicted, training.labels).macro_f1)
            seconds[name].append(found.seconds)
            if way is finetune.fit_predict:
                floors.append(found.floor)
    steps = finetune.steps(len(training.texts), CLASSIFIER)
    name = f"{task}: {len(training.texts)} rows, {steps} steps, {len(training.test_texts)} tested"
    theirs, ours = (statistics.mean(seconds[way]) for way in ways)
    yield Figure(name, f"{theirs:.1f} s by a plain Trainer, {ours:.1f} s: {theirs / ours:.2f} x")
    floor = statistics.mean(floors)
    share = ours / floor
    yield Figure("  floor", f"{floor:.1f} s: it takes {share:.2f} x", f"<= {MOST_OF_FLOOR:g} x", share <= MOST_OF_FLOOR)
    means = {way: statistics.mean(values) for way, values in scores.items()}
    for way, values in scores.items():
        yield Figure(f"  macro-F1, {way}", f"{means[way]:.3f} ({' '.join(f'{value:.3f}' for value in values)})")
    lost = means["plain Trainer"] - means["synthgap"]
    yield Figure("  macro-F1 lost", f"{lost:.3f}", f"<= {MOST_LOST:g}", lost <= MOST_LOST)


def main() -> int:
    """Run and print; the exit code is 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--test-rows", type=int, default=TEST)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    short, _ = real_training(options.tasks[0], 16, 16, 0)
    short = replace(short, config=CLASSIFIER.model_copy(update={"epochs": 1, "min_steps": 1}))
    first, second = (worker.call(spent, short) for _ in range(2))
    print(Figure("one step, in a new process and again in it", f"{first:.1f} s and {second:.1f} s"), flush=True)
    missed = False
    for task in options.tasks:
        for figure in figures(options, task):
            print(figure, flush=True)
            missed = missed or figure.ok is False
    worker.stop_workers()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
