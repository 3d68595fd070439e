"""What this machine computes with, found without importing torch, because a trial's key depends on it."""

import os
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

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

    Weights, gradients and the optimiser stay in float32 either way (autocast).
    """
    capability = _gpu_capability()
    if capability is not None:
        return "bf16" if capability >= AMPERE else "fp32"
    return "bf16" if _cpu_flags() & BF16_CPU_FLAGS else "fp32"


def _gpu_capability() -> float | None:
    """Compute capability of the weakest NVIDIA GPU; null without one, or with a torch that cannot use it."""
    if metadata.version("torch").endswith("+cpu"):
        return None
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # no NVIDIA driver here
    return min((float(line) for line in answer.split()), default=None)


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return set(next(flags, "").split())
