"""Signals that arrive while no Python code runs."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator

NUMBERS = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]

_lock = threading.Lock()
_handlers: dict[int, int | None] = {}
_within = 0


@contextlib.contextmanager
def deadly() -> Iterator[None]:
    """Within this, in any thread, signals that are handled in Python end the process at once, as they do by default.

    Python would handle them when the codec gives the interpreter back, seconds later. It is as if the process was
    killed: what is not whole yet has no name, and the next run removes it.
    """
    global _within
    libc = _libc()
    with _lock:
        _within += 1
        if libc and _within == 1:
            for number in NUMBERS:
                if callable(signal.getsignal(number)):
                    _handlers[number] = libc.signal(number, 0)
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            while libc and not _within and _handlers:
                number, handler = _handlers.popitem()
                libc.signal(number, handler)
                # what waits must end for the signal, as Python has it
                libc.siginterrupt(number, 1)


def _libc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
        libc.siginterrupt.argtypes = ctypes.c_int, ctypes.c_int
    except (OSError, AttributeError, TypeError):  # Windows
        return None
    return libc
