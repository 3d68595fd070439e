"""Telling a process from a later one that got the same number."""

from pathlib import Path

import psutil  # type: ignore[import-untyped]

BOOT = Path("/proc/sys/kernel/random/boot_id")


def birth(pid: int) -> str:
    """When a process was started, in a form that a step of the clock does not change. Raises ``psutil.NoSuchProcess``.

    On Linux a time since 1970 would move with the clock: it is the time since the machine was started, which the kernel
    notes, plus the clock's idea of when that was. So the kernel's time is taken, and which start of the machine it was.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return born(status, BOOT.read_text(encoding="ascii"))
    except OSError:  # gone, or no Linux: others keep the time that a process was started at
        return f"{psutil.Process(pid).create_time():.2f}"


def born(status: str, boot: str) -> str:
    """The same out of the contents of ``/proc/PID/stat`` and of the boot's id."""
    ticks = status.rpartition(")")[2].split()[19]  # the name, in brackets, may hold anything; then the third field
    return f"{boot.strip()[:8]}-{ticks}"
