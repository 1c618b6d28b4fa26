"""One run of the command: parse, work, and say what was done."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from resample_cli.messages import Failure, Skipped, heard, listening, reason, say
from resample_cli.modes import CONV_TRANSPOSE, PIXEL_SHUFFLE, PIXEL_UNSHUFFLE, SHUFFLES
from resample_cli.parser import Options, parse


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
    try:
        return main(sys.argv[1:])
    finally:
        gc.freeze()


def _end(number: int, _: object) -> NoReturn:
    """End as for an error, so that no partial file stays."""
    raise SystemExit(128 + number)


def main(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit status.

    Raises:
        SystemExit: help or the version was asked for, and printed; or the process is to end.
    """
    started = time.perf_counter()
    try:
        options = parse(argv)
        if options.mode != CONV_TRANSPOSE:
            # NumPy starts a third faster without the threads of a BLAS that is not called
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with listening():
            if options.mode not in SHUFFLES and options.are_many:
                from resample_cli import batch

                return batch.run(options)
            with heard("" if len(options.inputs) > 1 else f"{options.input}: ") as found:
                done = _done(options)
        for text in found:
            say(f"warning: {text}")
        if not options.quiet:
            say(f"{done}, {time.perf_counter() - started:.2f} s")
        return 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Skipped as skipped:
        if not options.quiet:
            say(f"skipped: {skipped}")
        return 0
    except Failure as failure:
        say(f"error: {failure}")
        return failure.status
    except Exception as error:
        say(f"error: {reason(error)}")
        return 1


def _done(options: Options) -> str:
    """Write the output and return the line that tells of it."""
    # imported here, because help and usage errors take neither NumPy nor PIL
    if options.compare:
        from resample_cli.compare import compare

        return compare(options)
    if options.mode == PIXEL_UNSHUFFLE:
        from resample_cli.phases import split as work
    elif options.mode == PIXEL_SHUFFLE:
        from resample_cli.phases import join as work
    else:
        from resample_cli.transform import transform as work
    return f"{work(options)}, {options.mode}"


if __name__ == "__main__":
    sys.exit(run())
