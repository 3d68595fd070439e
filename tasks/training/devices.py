"""Assigns a GPU to each training process: the visible one with the fewest trainings.

If a process saw several GPUs, transformers would split each batch over all of them, which changes the batch size, and
several processes would all use the first. So each training process sees only one GPU. Independent processes (Dask
workers, two studies at once) share the GPUs by file locks; the lock of a process is released when it ends.
"""

import itertools
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.errors import RunError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""CUDA's own variable: the GPUs that a process may use, as numbers or UUIDs."""


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU of this machine."""

    uuid: str
    capability: float
    """Compute capability, such as 8.0."""
    name: str


@dataclass(frozen=True)
class Claim:
    """A GPU that one training process was given."""

    device: str
    """Value for ``CUDA_VISIBLE_DEVICES``."""
    place: int
    """How many processes already had it."""
    lock: FileLock

    def release(self) -> None:
        """Release the GPU for other processes."""
        self.lock.release()


@cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine; empty if the installed torch cannot use them."""
    if metadata.version("torch").endswith("+cpu"):
        return ()
    command = ["nvidia-smi", "--query-gpu=uuid,compute_cap,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # no NVIDIA driver
    return parse(answer)


def parse(answer: str) -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi lists, one in each line: UUID, compute capability, name."""
    rows = [[field.strip() for field in line.split(",", 2)] for line in answer.splitlines() if line.strip()]
    return tuple(Gpu(uuid, float(capability), name) for uuid, capability, name in rows)


def visible(setting: str | None, uuids: Sequence[str]) -> tuple[str, ...]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` allows: all if it is not set, else up to its first invalid entry."""
    if setting is None:
        return tuple(uuids)
    entries = (entry.strip() for entry in setting.split(","))
    return tuple(itertools.takewhile(lambda entry: _names_one(entry, len(uuids)), entries))


def _names_one(entry: str, count: int) -> bool:
    return int(entry) < count if entry.isdecimal() else entry.startswith(("GPU-", "MIG-"))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use."""
    return visible(os.environ.get(VISIBLE), [gpu.uuid for gpu in gpus()]) if gpus() else ()


def device_name() -> str:
    """The device that this machine trains on: the GPU's name, ``a or b`` if GPUs differ, or ``cpu``."""
    return " or ".join(sorted({gpu.name for gpu in gpus()})) if visible_gpus() else "cpu"


def claim(devices: Sequence[str], folder: Path) -> Claim | None:
    """Claim one of several devices: the first of those with the fewest claims. Null for fewer than two devices.

    ``folder`` has the locks that show the claims of all processes of this machine. Raises ``RunError`` if it cannot be
    written.
    """
    if len(devices) < 2:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = 0
        while True:
            for device in devices:
                lock = FileLock(folder / f"{device.replace('/', '_')}-{place}.lock", thread_local=False)
                with suppress(Timeout):
                    lock.acquire(blocking=False)
                    return Claim(device, place, lock)
            place += 1
    except OSError as error:
        raise RunError(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
