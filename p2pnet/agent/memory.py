"""The allocator's treatment of memory that NumPy has freed."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_KEPT_BYTES = 256 * 2**20


def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MiB of freed memory instead of giving it back to the system at once.

    Work arrays of a local step are made and freed thousands of times a second; getting each anew from the system, page
    by page, took up to a third of all time. Without glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    try:
        mallopt = library.mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    # Threads with freed memory of their own would keep as much each: a round's phases take turns on several threads.
    mallopt(_M_ARENA_MAX, 1)
