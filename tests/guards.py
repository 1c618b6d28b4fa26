"""The type of the fixture `guarded`, for the tests that take it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

Guarded = Callable[[bool], contextlib.AbstractContextManager[None]]
