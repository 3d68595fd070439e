"""CPU cores and precision of this machine, found without importing torch, because a trial's key needs the precision."""

import os
from collections.abc import Sequence, Set
from functools import cache
from pathlib import Path
from typing import Literal

from tasks.training import devices

Precision = Literal["bf16", "fp32"]

BF16_CPU_FLAGS = {"amx_bf16", "bf16"}
"""CPU flags (x86, ARM) of units that multiply bfloat16 faster than float32. A CPU with only ``avx512_bf16`` takes twice
as long."""
AMPERE = 8.0


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def precision() -> Precision:
    """``bf16`` if the GPU or, without one, the CPU multiplies bfloat16 faster than float32, else ``fp32``.

    With several GPUs, the one with the lowest compute capability decides, so that all trainings of a machine have the
    same precision. Weights, gradients and the optimiser are always in float32 (autocast).
    """
    return fastest([gpu.capability for gpu in devices.gpus()] if devices.visible_gpus() else [], _cpu_flags())


def fastest(gpus: Sequence[float], cpu: Set[str]) -> Precision:
    """The precision for GPUs of these compute capabilities or, without any, a CPU with these flags."""
    return "bf16" if (min(gpus) >= AMPERE if gpus else cpu & BF16_CPU_FLAGS) else "fp32"


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return set(next(flags, "").split())
