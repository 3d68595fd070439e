"""Which GPU a training process gets: one of the visible ones, whichever has the fewest trainings on it.

A process that sees several GPUs would let transformers split each batch over all of them, which changes what a batch
size means, and several processes would all take the first. So each training process is shown one GPU only. Processes
that know nothing of each other (Dask workers, two studies at once) spread out by locks on files; a lock goes with the
process that holds it.
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
    """As ``CUDA_VISIBLE_DEVICES`` wants it."""
    place: int
    """How many others had it already."""
    lock: FileLock

    def release(self) -> None:
        """Let another process have it."""
        self.lock.release()


@cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine; none with a torch that cannot use them."""
    if metadata.version("torch").endswith("+cpu"):
        return ()
    command = ["nvidia-smi", "--query-gpu=uuid,compute_cap,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # no NVIDIA driver here
    return parse(answer)


def parse(answer: str) -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi lists, one a line: UUID, compute capability, name."""
    rows = [[field.strip() for field in line.split(",", 2)] for line in answer.splitlines() if line.strip()]
    return tuple(Gpu(uuid, float(capability), name) for uuid, capability, name in rows)


def visible(setting: str | None, uuids: Sequence[str]) -> tuple[str, ...]:
    """What ``CUDA_VISIBLE_DEVICES`` leaves of the GPUs: all where it is not set, else up to its first invalid entry."""
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
    """What this machine trains on: the GPU's name, ``a or b`` where there are different ones, or ``cpu``."""
    return " or ".join(sorted({gpu.name for gpu in gpus()})) if visible_gpus() else "cpu"


def claim(devices: Sequence[str], folder: Path) -> Claim | None:
    """One of several devices: the first of those with the fewest claims. Null where there is no choice.

    ``folder`` holds the locks by which the processes of this machine see each other's claims. Raises ``RunError`` when
    it cannot be written.
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
