"""Distinguishes a process from a later one with the same id."""

from pathlib import Path

import psutil  # type: ignore[import-untyped]

BOOT = Path("/proc/sys/kernel/random/boot_id")


def birth(pid: int) -> str:
    """When a process was started, in a form that setting the clock does not change. Raises ``psutil.NoSuchProcess``.

    On Linux, a start time since 1970 is computed from the clock and changes with it. The kernel's own value is used
    instead: the time since the machine was booted, with the id of that boot.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return born(status, BOOT.read_text(encoding="ascii"))
    except OSError:  # the process is gone, or not Linux: other systems store the start time
        return f"{psutil.Process(pid).create_time():.2f}"


def born(status: str, boot: str) -> str:
    """The same, from the contents of ``/proc/PID/stat`` and the boot's id."""
    ticks = status.rpartition(")")[2].split()[19]  # the name, in brackets, may hold anything; then the third field
    return f"{boot.strip()[:8]}-{ticks}"
