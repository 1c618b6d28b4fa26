"""Check every operator on an NVIDIA GPU, and measure it against a plain copy, torch, CuPy and JAX.

    python benchmarks/gpu.py                # checks, then timings, in less than ten minutes; 1 if anything is wrong
    python benchmarks/gpu.py --write        # and put the tables into docs/gpu.md
    python benchmarks/gpu.py --only 2 8b    # only these cases; "checks" names the checks
    python benchmarks/gpu.py --quick        # some of the checks, fewer turns, no peer but torch
    compute-sanitizer --tool memcheck python benchmarks/gpu.py --sanitize

The last runs some of the checks in one process, each array in memory of its own, where the sanitizer sees every access
out of bounds. Otherwise checks run in a process of their own, so that a fault there, after which a process can use its
GPU no more, costs neither the other checks nor the timings.

torch with CUDA is needed; CuPy and JAX are measured if they are there. Times are medians of seven turns of at least
twenty calls, between two CUDA events (JAX: by the clock), over so many sets of arrays that nothing is found in the
cache. The last line is all numbers as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gpu_cases import (
    COMPILED,
    CUPY,
    JAX,
    METHODS,
    ORDERS,
    OURS,
    PEERS,
    TF32,
    TORCH,
    Case,
    Device,
    Laid,
    Outcome,
    cases,
    checks,
    difference,
    outcome,
)
from speed import cell

import resample
import resample.functional as F
from resample.kernels.cuda import driver

PAGE = Path(__file__).parent.parent / "docs" / "gpu.md"
BUDGET, CHECKS_BUDGET = 480, 270  # seconds until no case, and no check, is begun any more
QUIET = 150  # seconds after which a process of checks that says nothing is taken to hang
FAULT = 3  # exit status of a process whose GPU does not answer any more
BEGAN = time.monotonic()

Call = Callable[[int], Any]  # with the number of a set of arrays


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/gpu.md")
    parser.add_argument("--only", nargs="+", metavar="CASE", default=[], help='only these cases, or "checks"')
    parser.add_argument("--quick", action="store_true", help="some of the checks, fewer turns, no peer but torch")
    parser.add_argument("--sanitize", action="store_true", help="some of the checks, for compute-sanitizer")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="of the data; a new one each time")
    parser.add_argument("--from-check", type=int, help=argparse.SUPPRESS)  # of the process that runs the checks
    options = parser.parse_args(arguments)
    if unknown := {*options.only} - {"checks"} - {case.name for case in cases()}:
        parser.error(f"--only must name cases, got {', '.join(sorted(unknown))}")
    if options.write and (options.only or options.quick or options.sanitize):
        parser.error("--write needs all checks and cases")
    if options.sanitize:
        os.environ.setdefault("PYTORCH_NO_CUDA_MEMORY_CACHING", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        driver.library()
        torch = torch_with_cuda()
    except (RuntimeError, ImportError) as error:
        print(f"no GPU to measure: {error}", file=sys.stderr)
        return 2
    if options.from_check is not None:
        return run_checks(torch, options)
    told = {
        "versions": versions(torch),
        "device": card(torch),
        "seed": options.seed,
        "date": str(datetime.date.today()),
    }
    print(f"{told['device']}; {told['versions']}; seed {options.seed}", flush=True)
    tally = Tally()
    if options.sanitize:
        for index, item in enumerate(checks(some=True)):
            tally.add(index, item.title, attempt(item, options.seed + index, device_of(torch, poisoned=False)))
    elif not options.only or "checks" in options.only:
        follow_checks(tally, options)
    print(tally.summary(), flush=True)
    rows: list[dict[str, Any]] = []
    if not options.sanitize:
        torch.backends.cudnn.benchmark = True  # let torch choose its fastest
        told["bandwidth"] = bandwidth(torch)
        print(f"a copy moves {told['bandwidth'] / 1e12:.3f} TB/s", flush=True)
        wanted = [case for case in cases() if not options.only or case.name in options.only]
        rows = [timed(torch, case, told["bandwidth"], options.quick) for case in wanted]
    text = page(told, tally, rows)
    print(text)
    if options.write:
        PAGE.write_text(text)
    wrong = tally.failures or [row for row in rows if row.get("captured") is False]
    print(json.dumps({**told, "checks": tally.numbers(), "rows": rows}))
    return 1 if wrong else 0


def torch_with_cuda() -> Any:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} finds no CUDA device")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_grad_enabled(False)
    torch.empty(1, device="cuda")
    return torch


def versions(torch: Any) -> str:
    found = [f"resample {resample.__version__}", f"torch {torch.__version__}", f"Python {sys.version.split()[0]}"]
    for name in ("numpy", "numba", "cupy", "jax"):
        with contextlib.suppress(Exception):
            found.append(f"{name} {__import__(name).__version__}")
    return ", ".join(found)


def card(torch: Any) -> str:
    about = torch.cuda.get_device_properties(0)
    name = f"{about.name} ({about.total_memory >> 30} GiB, {about.L2_cache_size >> 20} MiB of L2 cache)"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        name += ", driver " + subprocess.check_output(command, text=True, timeout=20).split()[0]
    return name


def left(budget: float = BUDGET) -> float:
    """Return how many seconds of the budget are left."""
    return budget - (time.monotonic() - BEGAN)


# Checks


def device_of(torch: Any, poisoned: bool = True) -> Device:
    def upload(array: Laid) -> Any:
        return torch.from_numpy(array.memory).cuda().as_strided(array.shape, array.steps, array.offset)

    def poison(nbytes: int, byte: int) -> None:
        torch.cuda.empty_cache()
        held = [torch.full((max(nbytes, 1),), byte, dtype=torch.uint8, device="cuda") for _ in range(3)]
        held.clear()  # and the allocator gives just these to whoever asks for as much

    def reference(call: str, tensors: list[Any], options: dict[str, Any]) -> Any:
        return getattr(torch.nn.functional, call)(*tensors, **options)

    if not poisoned:
        return Device(upload, lambda result: result.cpu().numpy(), lambda nbytes, byte: None)
    return Device(upload, lambda result: result.cpu().numpy(), poison, reference)


def attempt(item: Any, seed: int, device: Device) -> Outcome:
    """Return what came of a check, also if it raised."""
    try:
        return outcome(item, seed, device)
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return Outcome(item.kind, "", None, None)
        return Outcome(item.kind, f"{type(error).__name__}: {one_line(error)}", None, None)


def one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:160]


class Tally:
    """What came of the checks, by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[Outcome]] = {}
        self.failures: list[str] = []
        self.notes: list[str] = []

    def add(self, index: int, title: str, found: Outcome) -> None:
        self.kinds.setdefault(found.kind, []).append(found)
        if found.problem:
            self.failures.append(f"check {index}: {title} {found.problem}")
            print(f"WRONG {self.failures[-1]}", flush=True)
        elif found.ulps is None:
            self.notes.append(f"check {index}: no memory for {title}")

    def numbers(self) -> dict[str, Any]:
        """Return, by kind, how many there were, and the largest differences from the CPU and from torch on CUDA."""
        found = {}
        for kind, every in self.kinds.items():
            ulps, others = ([o[k] for o in every if o[k] is not None] for k in (2, 3))
            found[kind] = {"checks": len(every), "ulps": max(ulps, default=None), "torch": max(others, default=None)}
        return {"kinds": found, "failures": self.failures, "notes": self.notes}

    def summary(self) -> str:
        count = sum(map(len, self.kinds.values()))
        if not count:
            return "no checks"
        ended = f"{len(self.failures)} WRONG" if self.failures else "all right"
        return "; ".join([f"{count} checks: {ended}", *self.notes])


def run_checks(torch: Any, options: argparse.Namespace) -> int:
    """Run the checks from a number on, with a line of JSON for each."""
    device = device_of(torch)
    for index, item in enumerate(checks(some=options.quick)):
        if index < options.from_check:
            continue
        print(json.dumps([index, item.title, *attempt(item, options.seed + index, device)]), flush=True)
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            return FAULT
    for name, problem in other_arrays(torch):
        print(json.dumps([-1, name, name, problem, 0.0, None]), flush=True)
    return 0


def follow_checks(tally: Tally, options: argparse.Namespace, command: list[str] | None = None) -> None:
    """Have the checks run by other processes: the next goes on where one has come to grief."""
    titles = [item.title for item in checks(some=options.quick)]
    begin = 0
    for _ in range(12):
        given = ["--from-check", str(begin), "--seed", str(options.seed), *["--quick"] * options.quick]
        last, ended = begin - 1, ""
        start = [*(command or [sys.executable, __file__]), *given]
        with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
            for line in quick_lines(process):
                index, title, *found = json.loads(line)
                tally.add(index, title, Outcome(*found))
                last = index if index >= 0 else len(titles)
                if left(CHECKS_BUDGET) < 0:
                    ended = "time was up"
                    process.kill()
        status = process.returncode
        if ended or status == 0:
            if ended and last + 1 < len(titles):
                tally.notes.append(f"{len(titles) - last - 1} of {len(titles)} checks left out, as {ended}")
            return
        if status != FAULT and last + 1 < len(titles):  # it died of a check and could not say so
            last += 1
            tally.add(last, titles[last], Outcome("process", f"ended its process with status {status}", None, None))
        begin = last + 1
        if begin >= len(titles):
            return
    tally.failures.append(f"checks from {begin} on were left out after a dozen faults")
    print(tally.failures[-1])


def quick_lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines of a process, which is killed if it says nothing for long."""
    assert process.stdout is not None
    while True:
        watch = threading.Timer(QUIET, process.kill)
        watch.start()
        line = process.stdout.readline()
        watch.cancel()
        if not line:
            return
        if line.startswith("["):
            yield line


def other_arrays(torch: Any) -> Iterator[tuple[str, str]]:
    """Yield, of arrays of CuPy and JAX and of a stream beside torch's first, what is wrong with their results."""
    values = np.random.default_rng().standard_normal((2, 5, 33, 47), np.float32)
    expected = F.interpolate(values, scale_factor=2.0, mode="bilinear")

    def of_cupy() -> Any:
        import cupy

        return cupy.asnumpy(F.interpolate(cupy.asarray(values), scale_factor=2.0, mode="bilinear"))

    def of_jax() -> Any:
        import jax

        if jax.default_backend() != "gpu":
            raise ImportError("JAX has no GPU")
        array = jax.block_until_ready(jax.numpy.asarray(values))
        return torch.as_tensor(F.interpolate(array, scale_factor=2.0, mode="bilinear"), device="cuda").cpu().numpy()

    def on_a_stream() -> Any:
        host = torch.from_numpy(values)
        with torch.cuda.stream(torch.cuda.Stream()):
            busy = torch.ones(1 << 28, device="cuda")
            for _ in range(20):
                busy += 1
            tensor = host.cuda(non_blocking=True)
            tensor += busy[0] - 21  # what is late
            return F.interpolate(tensor, scale_factor=2.0, mode="bilinear").cpu().numpy()

    for name, make in (("CuPy arrays", of_cupy), ("JAX arrays", of_jax), ("another stream", on_a_stream)):
        try:
            far = difference(make(), expected)
            yield name, "" if far <= 2 else f"differs by {far:.3g} ulp"
        except ImportError:
            continue
        except Exception as error:
            yield name, f"{type(error).__name__}: {one_line(error)}"


# Timings


def bandwidth(torch: Any) -> float:
    """Return the bytes a second that a copy on the device moves: each byte is read and written."""
    source, target = (torch.zeros(2 << 30, dtype=torch.uint8, device="cuda") for _ in range(2))
    return 2 * source.numel() / min(turns(torch, lambda k: target.copy_(source), 1, repeats=10, least=5))


def turns(torch: Any, call: Call, sets: int, repeats: int = 7, least: int = 20) -> list[float]:
    """Return seconds a call, by CUDA events, in several turns; as many results are kept as there are sets of inputs."""
    held: deque[Any] = deque(maxlen=sets)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def turn(count: int) -> float:
        begin.record()
        for k in range(count):
            held.append(call(k % sets))
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / count

    turn(max(3, min(sets, 10)))
    count = calls_in_a_turn(turn(3), least)
    return [turn(count) for _ in range(repeats)]


def calls_in_a_turn(seconds: float, least: int) -> int:
    """Return how many calls make a turn: 20 ms of them, at least `least` unless those take longer than a second."""
    return max(2, min(int(1 / seconds), max(least, int(0.02 / seconds))))


def by_the_clock(call: Call, sets: int, wait: Callable[[Any], Any], count: int = 20, repeats: int = 7) -> list[float]:
    """Return the same by the clock; `wait` takes the last result and returns when it is there."""
    wait(call(0))
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for k in range(count):
            result = call(k % sets)
        wait(result)
        found.append((time.perf_counter() - begin) / count)
    return found


def replayed(torch: Any, call: Call, sets: int, repeats: int = 7) -> tuple[float, bool]:
    """Return the seconds of a call in a CUDA graph, and whether a replay gives the results of plain calls."""
    count = sets * -(-20 // sets)  # so that the results that are kept are those of sets 0, 1, ...
    expected = call(0)
    graph, held = torch.cuda.CUDAGraph(), deque[Any](maxlen=sets)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for k in range(count):
            held.append(call(k % sets))
    for result in held:
        result.zero_()
    graph.replay()
    equal = bool(torch.equal(held[0], expected))
    return statistics.median(turns(torch, lambda k: graph.replay(), 1, repeats, least=3)) / count, equal


def inputs(torch: Any, case: Case, sets: int) -> list[list[Any]]:
    """Return random tensors for a case, so many times."""
    found = []
    for _ in range(sets):
        tensors = []
        for shape, dtype in zip(case.shapes, case.dtypes, strict=True):
            if dtype == "uint8":
                tensor = torch.randint(0, 256, shape, dtype=torch.uint8, device="cuda")
            elif dtype == "int64":  # a place in each window of two by two
                rows, columns = (2 * torch.arange(n, device="cuda") for n in shape[2:])
                tensor = (rows[:, None] + torch.randint(0, 2, shape, device="cuda")) * (2 * shape[3]) + columns
                tensor += torch.randint(0, 2, shape, device="cuda")
            else:
                tensor = torch.randn(shape, dtype=getattr(torch, dtype), device="cuda")
            tensors.append(tensor.contiguous(memory_format=torch.channels_last) if case.last else tensor)
        found.append(tensors)
    return found


def sets_of(case: Case, cache: int) -> int:
    """Return how many sets of arrays make ten times the cache; a latency is that of arrays in the cache."""
    return 1 if case.name == "17" else max(1, min(64, math.ceil(10 * cache / case.moved)))


def torchs(torch: Any, case: Case) -> Callable[..., Any]:
    """Return torch's function; what it lacks for bytes goes by way of floats, as in torchvision."""
    function = getattr(torch.nn.functional, case.call)
    if case.dtype != "uint8" or case.options["mode"].startswith("nearest"):
        return lambda *tensors: function(*tensors, **case.options)
    return lambda tensor: function(tensor.float(), **case.options).round_().clamp_(0, 255).to(torch.uint8)


def peer(torch: Any, name: str, case: Case, arrays: list[list[Any]]) -> tuple[Call, Callable[[Any], Any] | None]:
    """Return a peer's call and, where events do not tell its end, what waits for a result.

    Raises whatever a library that is missing, or lacks the function, does.
    """
    theirs = torchs(torch, case)
    if name == TORCH:
        return lambda k: theirs(*arrays[k]), None
    if name == TF32:

        def with_tf32(k: int) -> Any:
            torch.backends.cudnn.allow_tf32 = True
            try:
                return theirs(*arrays[k])
            finally:
                torch.backends.cudnn.allow_tf32 = False

        return with_tf32, None
    if name == COMPILED:
        torch.compiler.reset()
        compiled = torch.compile(theirs, dynamic=False)
        return lambda k: compiled(*arrays[k]), None
    mode = case.options["mode"]
    if name == CUPY:
        import cupy
        from cupyx.scipy.ndimage import zoom

        pixels = [cupy.from_dlpack(tensor.permute(0, 2, 3, 1) if case.last else tensor) for (tensor,) in arrays]
        factors = [after / before for before, after in zip(case.shapes[0], case.out, strict=True)]
        if case.last:
            factors = [factors[axis] for axis in (0, 2, 3, 1)]
        return lambda k: zoom(pixels[k], factors, order=ORDERS[mode], mode="nearest", grid_mode=True), None
    assert name == JAX
    import jax

    if jax.default_backend() != "gpu":
        raise ImportError("JAX has no GPU")
    images = [jax.dlpack.from_dlpack(tensor) for (tensor,) in arrays]
    smooth = bool(case.options.get("antialias"))
    resized = jax.jit(lambda image: jax.image.resize(image, case.out, METHODS[mode], antialias=smooth))
    return lambda k: resized(images[k]), jax.block_until_ready


def timed(torch: Any, case: Case, copied: float, quick: bool = False) -> dict[str, Any]:
    """Return the seconds of a case, ours and the peers', and why those are missing that are."""
    row: dict[str, Any] = {
        "case": case.name, "title": case.title, "bytes": case.moved, "floor": case.moved / copied,
        "seconds": {}, "graph": {}, "wall": {}, "missing": {},
    }  # fmt: skip
    names = [OURS, *(name for name in case.peers if not quick or name == TORCH)]
    try:
        sets = row["sets"] = sets_of(case, torch.cuda.get_device_properties(0).L2_cache_size)
        arrays = inputs(torch, case, sets) if left() > 0 else []
    except Exception as error:
        arrays = []
        row["missing"] = dict.fromkeys(names, f"{type(error).__name__}: {one_line(error)}")
    repeats = 3 if quick else 7
    for name in names if arrays else []:
        try:
            if left() < 0:
                raise TimeoutError("time was up")
            measure(torch, case, name, arrays, row, repeats)
        except Exception as error:
            row["missing"][name] = f"{type(error).__name__}: {one_line(error)}"
        torch.cuda.empty_cache()
    if not arrays and not row["missing"]:
        row["missing"] = dict.fromkeys(names, "time was up")
    told = ", ".join(f"{name} {seconds * 1e6:.1f} us" for name, seconds in row["seconds"].items())
    print(f"{case.name}: {case.title}: {told}; missing: {row['missing'] or 'none'}", flush=True)
    return row


def measure(torch: Any, case: Case, name: str, arrays: list[list[Any]], row: dict[str, Any], repeats: int) -> None:
    """Put a library's seconds into the row of a case."""
    function = getattr(F, case.call)
    sets, wait = len(arrays), None
    if name == OURS:
        call: Call = lambda k: function(*arrays[k], **case.options)  # noqa: E731
    else:
        call, wait = peer(torch, name, case, arrays)
    if name == TORCH and OURS in row["seconds"]:
        row["ulps"] = apart(torch, function(*arrays[0], **case.options), call(0))
    found = by_the_clock(call, sets, wait, repeats=repeats) if wait else turns(torch, call, sets, repeats)
    row["seconds"][name] = statistics.median(found)
    if not (case.small and name in (OURS, TORCH)):
        return
    row["wall"][name] = statistics.median(by_the_clock(call, sets, lambda _: torch.cuda.synchronize(), 200, repeats))
    row["graph"][name], equal = replayed(torch, call, sets, repeats)
    if name == OURS:
        row["captured"] = equal


def apart(torch: Any, ours: Any, theirs: Any) -> float:
    """Return the largest difference of two tensors, in units in the last place of the largest magnitude."""
    far = float((ours.double() - theirs.double()).abs().max())
    if ours.dtype == torch.uint8:
        return far
    largest = theirs.abs().max().cpu().numpy()
    return far / float(np.spacing(largest))


# Tables


def page(told: dict[str, Any], tally: Tally, rows: list[dict[str, Any]]) -> str:
    """Return docs/gpu.md."""
    rate = f" A copy moves {told['bandwidth'] / 1e12:.2f} TB/s." if "bandwidth" in told else ""
    lines = ["# Speed on a GPU", "", f"Measured {told['date']} on {told['device']}; {told['versions']}.{rate}", ""]
    notes: list[str] = []
    if rows:
        lines += [*table(rows, notes), *small_table([row for row in rows if row["wall"]], notes)]
    lines += [f"[{k}] {note}" + "  " for k, note in enumerate(notes, 1)]
    return "\n".join([*lines, *[""] * bool(notes), *checks_table(tally)]) + "\n"


def noted(row: dict[str, Any], name: str, ratio: float | None, notes: list[str]) -> str:
    """Return a ratio, or a dash with the number of the note that says why there is none."""
    if ratio is not None or name not in row["missing"]:
        return cell(ratio)
    if row["missing"][name] not in notes:
        notes.append(row["missing"][name])
    return f"- [{notes.index(row['missing'][name]) + 1}]"


def table(rows: list[dict[str, Any]], notes: list[str]) -> list[str]:
    peers = [name for name in PEERS if any(name in row["seconds"] or name in row["missing"] for row in rows)]
    lines = [
        "A peer's time / ours: above 1 ours is faster. Of a copy: the time in which a copy would move the bytes that "
        "must be moved, each input's read once and the result's written once, in our time. From torch: the largest "
        "difference, in units in the last place of the largest magnitude (of bytes, in steps).",
        "",
        f"| case | | MB | ours, µs | of a copy | {' | '.join(peers)} | from torch |",
        f"| --- | --- | ---: | ---: | ---: |{' ---: |' * len(peers)} ---: |",
    ]
    for row in rows:
        own = row["seconds"].get(OURS)
        shown = [f"{own * 1e6:.1f}" if own else noted(row, OURS, None, notes)]
        shown.append(f"{row['floor'] / own:.0%}" if own else "-")
        for name in peers:
            seconds = row["seconds"].get(name)
            shown.append(noted(row, name, seconds / own if seconds and own else None, notes))
        shown.append(f"{row['ulps']:.3g}" if "ulps" in row else "-")
        lines.append(f"| {row['case']} | {row['title']} | {row['bytes'] / 1e6:.0f} | {' | '.join(shown)} |")
    return [*lines, ""]


def small_table(rows: list[dict[str, Any]], notes: list[str]) -> list[str]:
    """Return the lines for what is launched faster than it is measured: by the clock, and in a CUDA graph."""
    if not rows:
        return []
    lines = [
        "Small work: time of a call by the clock, and of its kernels in a CUDA graph.",
        "",
        "| case | | call, µs | torch | in a graph, µs | of a copy | torch |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        shown = []
        for key in ("wall", "graph"):
            own, theirs = (row[key].get(name) for name in (OURS, TORCH))
            shown.append(f"{own * 1e6:.1f}" if own else noted(row, OURS, None, notes))
            if key == "graph":
                shown.append(f"{row['floor'] / own:.0%}" if own else "-")
            shown.append(noted(row, TORCH, theirs / own if own and theirs else None, notes))
        wrong = " **differs when replayed**" if row.get("captured") is False else ""
        lines.append(f"| {row['case']} | {row['title']}{wrong} | {' | '.join(shown)} |")
    return [*lines, ""]


def checks_table(tally: Tally) -> list[str]:
    if not tally.kinds:
        return []
    lines = [
        "## Checks", "", tally.summary() + ".", "",
        "Largest differences, in units in the last place of the largest magnitude (of integers, in steps).", "",
        "| operator | checks | from the CPU | from torch on CUDA |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    for kind, found in sorted(tally.numbers()["kinds"].items()):
        shown = ["-" if found[key] is None else f"{found[key]:.3g}" for key in ("ulps", "torch")]
        lines.append(f"| {kind} | {found['checks']} | {' | '.join(shown)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
