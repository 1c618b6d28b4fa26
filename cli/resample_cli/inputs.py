"""The files that are read."""

from __future__ import annotations

import os
import stat

from resample_cli.messages import Failure


def check_source(path: str) -> None:
    """Refuse what cannot be read as a file; a pipe would wait for a writer.

    Raises:
        Failure: it is not a plain file, or empty.
        OSError: there is no such file, or no access to it.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise Failure(f"{path}: is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a plain file'}")
    if status.st_size == 0:
        raise Failure(f"{path}: is empty")
