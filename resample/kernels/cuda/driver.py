"""NVIDIA's driver, by ctypes: devices, memory, streams, launches. All calls of NVIDIA's software are in this file.

Nothing is asked of a machine but its driver, `libcuda`, which also assembles kernels for its cards. Work goes into each
device's primary context, the one that torch, CuPy and Numba share. Names are those of the driver's manual, "CUDA Driver
API": https://docs.nvidia.com/cuda/cuda-driver-api/.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from resample.kernels.cuda.constants import LEAST_CAPABILITY, SYMBOL, TARGET

Launch = Callable[..., None]


# what the driver's allocations are multiples of; and vectors of kernels need
ALIGNMENT, VECTOR = 256, 16

DEFAULT_STREAM = 0

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_DEVICE_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
_BUFFER, _SIZE = 1, 2  # CU_LAUNCH_PARAM_BUFFER_POINTER and _SIZE
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE
_NOT_SUPPORTED = 801  # CUDA_ERROR_NOT_SUPPORTED
_FORMATS = {"int32": "i", "uint32": "I", "int64": "q", "float32": "f", "float64": "d"}

_lock = threading.RLock()
_loaded: dict[tuple[str, str, tuple[str, ...], int], Launch] = {}


@cache
def library() -> Any:
    """Return the driver, initialised.

    Raises:
        RuntimeError: there is no driver on this machine, or it finds no GPU.
    """
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        found = ctypes.CDLL(name)
    except OSError as error:
        raise RuntimeError(
            f"CUDA needs a machine with an NVIDIA GPU and its driver, whose library {name} cannot be loaded: {error}"
        ) from error
    if code := found.cuInit(0):
        raise RuntimeError(f"CUDA needs a GPU that the NVIDIA driver can use: {_meaning(found, code)}")
    return found


def _meaning(driver: Any, code: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    return f"{(text.value or b'unknown error').decode()} (CUDA error {code})"


def _call(name: str, *arguments: Any) -> None:
    _check(name, getattr(library(), name)(*arguments))


def _check(name: str, code: int) -> None:
    if code == 2:
        raise MemoryError(f"{name}: {_meaning(library(), code)}")
    if code:
        raise RuntimeError(f"{name}: {_meaning(library(), code)}")


def count() -> int:
    """Return how many GPUs there are."""
    number = ctypes.c_int()
    _call("cuDeviceGetCount", ctypes.byref(number))
    return number.value


@cache
def _primary(device: int) -> Any:
    """Return a device's primary context, once the device is known to be one that kernels are compiled for."""
    if not 0 <= device < count():
        raise RuntimeError(f"device must be less than the number of CUDA devices, {count()}, got {device}")
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        number = ctypes.c_int()
        _call("cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
        numbers.append(number.value)
    if tuple(numbers) < LEAST_CAPABILITY:
        least, found = (".".join(map(str, pair)) for pair in (LEAST_CAPABILITY, numbers))
        raise RuntimeError(f"a GPU of compute capability {least} or more is needed, device {device} has {found}")
    context = ctypes.c_void_p()
    _call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    return context


class on:
    """Within `with on(device):`, the thread's current context is that of the device."""

    def __init__(self, device: int) -> None:
        self.wanted = _primary(device)

    def __enter__(self) -> None:
        current = ctypes.c_void_p()
        _call("cuCtxGetCurrent", ctypes.byref(current))
        self.pushed = current.value != self.wanted.value
        if self.pushed:
            _call("cuCtxPushCurrent_v2", self.wanted)

    def __exit__(self, *_: object) -> None:
        if self.pushed:
            _call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


def device_of(address: int) -> int:
    """Return on which device the memory at an address is."""
    number = ctypes.c_int()
    _call("cuPointerGetAttribute", ctypes.byref(number), _DEVICE_ORDINAL, ctypes.c_uint64(address))
    return number.value


class Memory:
    """Some memory of a device, given back when nothing refers to it any more.

    With a stream it is taken and given back in the stream's order; without, the device waits for all its work.
    """

    def __init__(self, nbytes: int, device: int, stream: int | None = None) -> None:
        self.device, self.stream, address = device, stream, ctypes.c_uint64()
        size = ctypes.c_size_t(max(nbytes, 1))
        with on(device):
            if stream is not None:
                code = library().cuMemAllocAsync(ctypes.byref(address), size, ctypes.c_void_p(stream))
                if code == _NOT_SUPPORTED:  # some virtual GPUs have no pools of memory
                    self.stream = None
                else:
                    _check("cuMemAllocAsync", code)
            if self.stream is None:
                _call("cuMemAlloc_v2", ctypes.byref(address), size)
        self.address = address.value

    def leave_stream(self) -> None:
        """Be given back by waiting from now on, because other streams will use this."""
        self.stream = None

    def __del__(self) -> None:
        address = ctypes.c_uint64(getattr(self, "address", 0))
        if address.value:
            with contextlib.suppress(Exception), on(self.device):  # the interpreter may be ending
                if self.stream is None:
                    library().cuCtxSynchronize()  # which freeing may do, and may not
                    library().cuMemFree_v2(address)
                else:
                    library().cuMemFreeAsync(address, ctypes.c_void_p(self.stream))


class Pinned:
    """Some memory of the host that a device copies from and to by itself.

    Attributes:
        bytes: it, as an array of uint8.
    """

    def __init__(self, nbytes: int, device: int) -> None:
        self.device, address = device, ctypes.c_void_p()
        with on(device):
            _call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(nbytes), _PORTABLE)
        self.address = address.value or 0
        memory: Any = (ctypes.c_ubyte * nbytes).from_address(self.address)
        self.bytes = np.frombuffer(memory, np.uint8)

    def __del__(self) -> None:
        address = getattr(self, "address", 0)
        if address:
            with contextlib.suppress(Exception), on(self.device):  # the interpreter may be ending
                library().cuMemFreeHost(ctypes.c_void_p(address))


class Constants:
    """Arrays on a device that kernels read: tables."""

    def __init__(self, arrays: Sequence[np.ndarray[Any, Any]], device: int) -> None:
        starts, end = [], 0
        for array in arrays:
            starts.append(end)
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        self.memory = Memory(end, device)
        self.addresses = [self.memory.address + start for start in starts]
        with on(device):
            for address, array in zip(self.addresses, arrays, strict=True):
                source = ctypes.c_void_p(array.__array_interface__["data"][0])
                _call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), source, ctypes.c_size_t(array.nbytes))
            # that returns when the host's memory has been read; other streams than this may come before the copy
            synchronize(DEFAULT_STREAM)


def copy_to_device(address: int, array: np.ndarray[Any, Any], stream: int) -> None:
    """Copy a C-contiguous array, which must stay until the stream has come so far."""
    source = ctypes.c_void_p(array.__array_interface__["data"][0])
    _call(
        "cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), source, ctypes.c_size_t(array.nbytes), ctypes.c_void_p(stream)
    )


def copy_to_host(array: np.ndarray[Any, Any], address: int, stream: int) -> None:
    """Copy to a C-contiguous array, which must stay until the stream has come so far."""
    target = ctypes.c_void_p(array.__array_interface__["data"][0])
    _call(
        "cuMemcpyDtoHAsync_v2", target, ctypes.c_uint64(address), ctypes.c_size_t(array.nbytes), ctypes.c_void_p(stream)
    )


def clear(address: int, nbytes: int, stream: int) -> None:
    """Set memory to zero."""
    _call(
        "cuMemsetD8Async", ctypes.c_uint64(address), ctypes.c_ubyte(0), ctypes.c_size_t(nbytes), ctypes.c_void_p(stream)
    )


def synchronize(stream: int) -> None:
    """Wait until a stream has done all it was given."""
    _call("cuStreamSynchronize", ctypes.c_void_p(stream))


def is_capturing(stream: int) -> bool:
    """Return whether the stream's work is being captured in a CUDA graph."""
    status = ctypes.c_int()
    _call("cuStreamIsCapturing", ctypes.c_void_p(stream), ctypes.byref(status))
    return status.value != 0


def new_stream(device: int) -> int:
    """Return a new stream of a device, which does not wait for its default stream."""
    stream = ctypes.c_void_p()
    with on(device):
        _call("cuStreamCreate", ctypes.byref(stream), _NON_BLOCKING)
    return stream.value or 0


def kernel(module: str, name: str, arguments: tuple[str, ...], device: int) -> Launch:
    """Return the launch of a kernel on a device: `launch(grid, block, stream, *values)` in its current context.

    `arguments` are Numba type names, as in `store.kernel`; values are ints and floats, pointers are ints.
    """
    wanted = (module, name, arguments, device)
    found = _loaded.get(wanted)
    if found is None:
        with _lock:
            found = _loaded.get(wanted) or _load(*wanted)
            _loaded[wanted] = found
    return found


def _code(module: str, name: str, arguments: tuple[str, ...]) -> bytes:
    from resample.kernels import store  # imports llvmlite, which a process that uses no GPU need not wait for

    return store.kept(module, name, arguments, TARGET, _compiled)


def _compiled(module: str, name: str, arguments: tuple[str, ...]) -> bytes:
    from resample.kernels.cuda import (
        ptx,
    )  # imports numba, which a process that finds its kernels kept need not wait for

    return ptx.compiled(module, name, arguments)


def _load(module: str, name: str, arguments: tuple[str, ...], device: int) -> Launch:
    code = _code(module, name, arguments)
    image, function = ctypes.c_void_p(), ctypes.c_void_p()
    with on(device):
        _call("cuModuleLoadData", ctypes.byref(image), code)  # for as long as the process lives
        _call("cuModuleGetFunction", ctypes.byref(function), image, SYMBOL.encode())
    layout = struct.Struct("@" + "".join("Q" if kind.endswith("*") else _FORMATS[kind] for kind in arguments))
    launch_kernel = library().cuLaunchKernel
    size = ctypes.c_size_t(layout.size)
    blocks = threading.local()  # of arguments; a thread's own, as the call releases the GIL

    def prepared() -> tuple[Any, Any]:
        packed = ctypes.create_string_buffer(layout.size)
        extra = (ctypes.c_void_p * 5)(_BUFFER, ctypes.addressof(packed), _SIZE, ctypes.addressof(size), None)
        blocks.prepared = packed, extra
        return packed, extra

    def launch(grid: tuple[int, int, int], block: tuple[int, int, int], stream: int, *values: float) -> None:
        packed, extra = getattr(blocks, "prepared", None) or prepared()
        layout.pack_into(packed, 0, *values)
        code = launch_kernel(function, *grid, *block, 0, ctypes.c_void_p(stream), None, extra)
        if code:
            raise RuntimeError(f"kernel {name} cannot be launched: {_meaning(library(), code)}")

    return launch
