"""Lines for the user, on stderr."""

from __future__ import annotations

import sys

from resample.files.failures import STDERR
from resample.files.places import shown


def say(text: str) -> None:
    """Write one line to stderr, without what gives access to addresses; stdout is kept for data."""
    try:
        if sys.stderr is not None:
            with STDERR:
                print(f"resample: {printable(shown(text))}", file=sys.stderr, flush=True)
    except OSError:
        # closed, full, or a pipe that nobody reads any more: the picture matters more than the line, which Python
        # would try to write again at its end, and fail
        sys.stderr = None


def printable(text: str) -> str:
    """Return the text with escapes for what could break a line: a newline or a stray byte in a file name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
