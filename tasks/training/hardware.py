"""What this machine computes with, found without importing torch, because a trial's key depends on it."""

import os
from functools import cache
from pathlib import Path
from typing import Literal

from tasks.training import devices

Precision = Literal["bf16", "fp32"]

BF16_CPU_FLAGS = {"amx_bf16", "bf16"}
"""Units that multiply bfloat16 faster than float32 (x86, ARM). ``avx512_bf16`` alone takes twice as long."""
AMPERE = 8.0


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def precision() -> Precision:
    """``bf16`` where the GPU or, without one, the CPU multiplies bfloat16 faster than float32, else ``fp32``.

    Of several GPUs the weakest counts, so that all trainings of a machine do the same.
    Weights, gradients and the optimiser stay in float32 either way (autocast).
    """
    if devices.visible_gpus():
        return "bf16" if min(gpu.capability for gpu in devices.gpus()) >= AMPERE else "fp32"
    return "bf16" if _cpu_flags() & BF16_CPU_FLAGS else "fp32"


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return set(next(flags, "").split())
