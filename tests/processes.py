"""What tests that kill processes share."""

from __future__ import annotations

from contextlib import suppress

import psutil


def kill_leaves_below(*processes: psutil.Process) -> int:
    """SIGKILL those below these processes that have none below themselves, as the kernel does when
    memory runs out; how many. One that ends meanwhile is left alone."""
    leaves = []
    for process in processes:
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if not child.children():
                    leaves.append(child)
    for leaf in leaves:
        with suppress(psutil.NoSuchProcess):
            leaf.kill()
    return len(leaves)
