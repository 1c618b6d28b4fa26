"""What this processor has: its name and features, and what follows from them for kernels."""

from __future__ import annotations

import contextlib
import re
from functools import cache
from itertools import takewhile


@cache
def features() -> tuple[str, ...]:
    """Return what tells this processor from others that need other code: its kind, and the names of its features."""
    # of Linux on x86, as LLVM's library, which knows too, need not be loaded then; elsewhere there are no "flags"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        known = dict(re.findall(r"(.+?)\t*: (.*)\n", "".join(takewhile(str.strip, file))))
        if "flags" in known:
            kind = [known.get(name, "") for name in ("vendor_id", "cpu family", "model", "stepping")]
            return " ".join(kind), *known["flags"].split()
    import llvmlite.binding as llvm

    names = llvm.get_host_cpu_features()
    return llvm.get_host_cpu_name(), *sorted(name for name, has in names.items() if has)


def shuffle_width() -> int:
    """Return how many bytes the variable byte shuffle makes: 64, 32, 16, or 0 if there is none.

    It chooses from as many, but 32 (AVX2) are two halves, each of its own 16.
    """
    known = features()
    if "avx512vbmi" in known and "avx512bw" in known:
        return 64
    if "avx2" in known:
        return 32
    return 16 if "ssse3" in known or "neon" in known else 0


def float_lanes() -> int:
    """Return how many float32 of a vector permutes choose at once: 16 (AVX-512), 8 (AVX2) or 0."""
    known = features()
    if "avx512f" in known:
        return 16
    return 8 if "avx2" in known and "fma" in known else 0


@cache
def register_bytes() -> int:
    """Return the bytes of a vector register: 64 (AVX-512), 32 (AVX2) or 16."""
    known = features()
    return 64 if "avx512f" in known else 32 if "avx2" in known else 16
