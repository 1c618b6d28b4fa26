"""One run of the command: parse, work, and say what was done."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from resample.files.failures import Failure, Skipped, UsageError, heard, listening, reason
from resample_cli.messages import say
from resample_cli.modes import CONV_TRANSPOSE, PIXEL_UNSHUFFLE, SHUFFLES
from resample_cli.parser import Options, parse

INTERRUPTED = 130


def run() -> int:
    """Run the command as a process of its own, and return its exit status."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    for stream in range(3):
        # a closed one would be the next file that is opened
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # One picture leaves little garbage. The searches for it, during the imports and at exit, took 75 of 330 ms.
    gc.disable()
    status: int | None = None
    try:
        status = main(sys.argv[1:], owns_process=True)
    finally:
        gc.freeze()
        if status in (None, INTERRUPTED):
            _leave(status)
    # Python takes modules apart one by one, for a tenth of the time that one picture takes
    with contextlib.suppress(OSError, AttributeError, ValueError):
        sys.stdout.flush()
        os._exit(status)
    return status


def _leave(status: int | None) -> None:
    """End at once if threads are at work, for which Python would wait: they leave nothing half done."""
    if threading.active_count() == 1:
        return
    from resample.files import output

    output.abandon()
    error = sys.exc_info()[1]
    code = error.code if isinstance(error, SystemExit) else status
    with contextlib.suppress(OSError, AttributeError, ValueError):
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)


def _end(number: int, _: object) -> NoReturn:
    """End as for an error, so that no partial file stays."""
    raise SystemExit(128 + number)


def main(argv: Sequence[str], *, owns_process: bool = False) -> int:
    """Run the command with these arguments and return its exit status; signals may end a process that it owns.

    Raises:
        SystemExit: help or the version was asked for, and printed; or the process is to end.
    """
    started = time.perf_counter()
    try:
        options = parse(argv)
        if options.mode != CONV_TRANSPOSE:
            # NumPy starts a third faster without the threads of a BLAS that is not called
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # imported here, because help and usage errors take neither NumPy nor PIL
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # the limit is --max-pixels
        if owns_process:
            from resample.files import failures
            from resample_cli import signals

            failures.while_python_waits = signals.deadly
        if options.compare or options.mode in SHUFFLES:
            return _one(options, started)
        from resample_cli import batch

        return batch.run(options)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except Skipped as skipped:
        if not options.quiet:
            say(f"skipped: {skipped}")
        return 0
    except Failure as failure:
        say(f"error: {failure}")
        return 2 if isinstance(failure, UsageError) else 1
    except Exception as error:
        say(f"error: {reason(error)}")
        return 1


def _one(options: Options, started: float) -> int:
    """Do what is not from one picture to one."""
    if options.compare:
        from resample_cli.compare import compare as work
    elif options.mode == PIXEL_UNSHUFFLE:
        from resample_cli.phases import split as work
    else:
        from resample_cli.phases import join as work
    with listening(), heard("" if len(options.inputs) > 1 else f"{options.input}: ") as warnings:
        done = work(options)
    for text in warnings:
        say(f"warning: {text}")
    if not options.quiet:
        say(f"{done}, {time.perf_counter() - started:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(run())
