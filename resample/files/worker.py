"""What makes a process of Dask one that runs tasks. Dask is imported here."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from distributed import WorkerPlugin
from PIL import Image

from resample.files import places
from resample.files.job import Transform
from resample.kernels.store import FOLDER_VARIABLE


class Ready(WorkerPlugin):  # type: ignore[misc]
    """Makes each worker ready, also those that come later; one that is not fit takes no tasks.

    Args:
        transform: that of the run, whose kernels are compiled or loaded.
        kinds: of addresses that are opened, such as s3.
        device: on which pictures are resampled, or None.
    """

    name = "resample"

    def __init__(self, transform: Transform, kinds: Sequence[str], device: str | None) -> None:
        self.transform, self.kinds, self.device = transform, kinds, device

    def setup(self, worker: Any) -> None:
        """Make this process ready.

        Raises:
            Failure: a package is missing for addresses of one of the kinds, or there is no such device.
        """
        # as in the command; the limit of pixels is that of the settings
        Image.MAX_IMAGE_PIXELS = None
        Image.core.set_use_block_allocator(1)  # type: ignore[attr-defined]
        # not in a home that nodes share: it is slow, and their processors may be several
        user = os.getuid() if hasattr(os, "getuid") else "user"
        os.environ.setdefault(FOLDER_VARIABLE, os.path.join(tempfile.gettempdir(), f"resample-{user}"))
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        for kind in self.kinds:
            places.check(kind)
        if self.device not in (None, "cpu"):
            from resample import devices

            devices.check(str(self.device))
        for mode in ("RGB", "L"):
            # what the transform cannot do will be told of with the picture
            with contextlib.suppress(Exception):
                self.transform(Image.new(mode, (64, 48)))
