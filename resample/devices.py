"""Arrays of CUDA devices: the caller's memory as strided views, results in the caller's kind, allocator and stream.

Nothing is copied and nothing waited for. torch and CuPy arrays are asked by their own names, as whoever hands one over
has its library loaded; all others by `__cuda_array_interface__` or DLPack.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from resample import arrays
from resample.arrays import Array
from resample.kernels.cuda import driver, passes

Shape = tuple[int, ...]
DType = np.dtype[Any]

_ON_CUDA = (2, 13)  # DLPack's kDLCUDA and kDLCUDAManaged
# in the CUDA array interface and DLPack, where 0 has another meaning, and for the driver
_LEGACY_DEFAULT_STREAM, _PER_THREAD_DEFAULT_STREAM = 1, 2


class Origin(NamedTuple):
    """Where an array came from, and so where results go."""

    device: int
    stream: int
    allocate: Callable[[int], tuple[int, Any]]
    """Returns the address of so many new bytes, and what owns them."""
    give_back: Callable[[DeviceArray], Any]
    """Returns the caller's kind of array for memory that `allocate` gave."""
    waits: bool = False
    """Whether a result is given back only when it is there: of libraries that do not tell of their stream."""
    matmul: Callable[[DeviceArray, DeviceArray, DeviceArray], None] | None = None
    """Writes the product of a matrix (m, k) and matrices (n, k, p) to a dense (n, m, p), by the caller's library."""


class DeviceArray:
    """A strided view of memory on a CUDA device; a result for callers whose own kind of array is not known.

    It speaks version 3 of the CUDA array interface, and so is taken by CuPy, Numba, torch (`torch.as_tensor`) and
    others without a copy. Not all keep it: it must live as long as what they made of it.

    Attributes:
        address: of the first value.
        shape, strides: of the axes, strides in bytes.
        dtype: of the values, in NumPy's terms.
        origin: device, stream, and how to make more of the same kind.
        owner: what keeps the memory from being given back.
    """

    def __init__(self, address: int, shape: Shape, strides: Shape, dtype: DType, origin: Origin, owner: Any) -> None:
        self.address, self.shape, self.strides, self.dtype = address, shape, strides, dtype
        self.origin, self.owner = origin, owner

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "strides": self.strides,
            "typestr": self.dtype.str,
            "data": (self.address if self.size else 0, False),
            "stream": self.origin.stream or _LEGACY_DEFAULT_STREAM,
            "version": 3,
        }

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device={self.origin.device})"

    def transpose(self, *axes: Any) -> DeviceArray:
        """Return the view with its axes in another order."""
        order = axes[0] if len(axes) == 1 else axes
        return self._view([self.shape[axis] for axis in order], [self.strides[axis] for axis in order], self.address)

    def __getitem__(self, key: Any) -> DeviceArray:
        """Return the view with axes of length 1 put in (None) and taken out (0), in front."""
        shape, strides = list(self.shape), list(self.strides)
        for item in reversed(key if isinstance(key, tuple) else (key,)):
            if item is None:
                shape.insert(0, 1)
                strides.insert(0, 0)
        for item in key if isinstance(key, tuple) else (key,):
            if item is not None:
                assert item == 0
                assert shape[0] == 1
                del shape[0], strides[0]
        return self._view(shape, strides, self.address)

    def part(self, rows: slice, columns: slice) -> DeviceArray:
        """Return the view of these rows and columns, bounded slices of the first two axes without a step."""
        lengths = rows.stop - rows.start, columns.stop - columns.start
        start = rows.start * self.strides[0] + columns.start * self.strides[1]
        return self._view((*lengths, *self.shape[2:]), self.strides, self.address + start)

    def reshape(self, *shape: int) -> DeviceArray:
        """Return the values in another shape: a view where strides allow it, else a copy."""
        strides = _reshaped(self.shape, self.strides, shape)
        if strides is not None:
            return self._view(shape, strides, self.address)
        dense = rearranged(self)
        return dense._view(shape, dense_strides(shape, self.dtype), dense.address)

    def is_dense(self) -> bool:
        """Return whether the values lie in order, without gaps; axes of length 1 may have any stride."""
        return _are_dense(self.shape, self.strides, self.dtype)

    def dense(self, order: Shape | None = None) -> DeviceArray:
        """Return the view with its axes in `order`, copied if values do not lie so, or where no vectors can be read."""
        view = self if order is None or order == tuple(range(self.ndim)) else self.transpose(order)
        return view if view.is_dense() and view.address % driver.VECTOR == 0 else rearranged(view)

    def beside(self, other: DeviceArray) -> DeviceArray:
        """Return the view of an array whose copies are made as those of `other` are, and so on its stream."""
        return DeviceArray(self.address, self.shape, self.strides, self.dtype, other.origin, self.owner)

    def new(self, shape: Shape, dtype: DType) -> DeviceArray:
        """Return a new C-contiguous array of the same kind on the same device."""
        address, owner = self.origin.allocate(math.prod(shape) * dtype.itemsize)
        return DeviceArray(address, shape, dense_strides(shape, dtype), dtype, self.origin, owner)

    def run(self, steps: list[passes.Pass]) -> DeviceArray:
        """Return what passes make of this array, which is dense."""
        result = self
        with driver.on(self.origin.device):
            for step in steps:
                source, result = result, self.new(step.shape, step.dtype)
                if result.size:
                    step.run(result.address, source.address, self.origin.stream)
            if self.origin.waits:
                driver.synchronize(self.origin.stream)
            elif driver.is_capturing(self.origin.stream):
                # a CUDA graph reads tables whenever it is replayed
                _captured.extend(step.tables for step in steps)
        return result

    def _view(self, shape: Any, strides: Any, address: int) -> DeviceArray:
        return DeviceArray(address, tuple(shape), tuple(strides), self.dtype, self.origin, self.owner)


@lru_cache(maxsize=256)
def _are_dense(shape: Shape, strides: Shape, dtype: DType) -> bool:
    expected = dense_strides(shape, dtype)
    return 0 in shape or all(n == 1 or s == e for n, s, e in zip(shape, strides, expected, strict=True))


@lru_cache(maxsize=256)
def dense_strides(shape: Shape, dtype: DType) -> Shape:
    """Return the strides in bytes of a C-contiguous array."""
    strides, step = [], dtype.itemsize
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def _reshaped(shape: Shape, strides: Shape, wanted: Shape) -> Shape | None:
    """Return the strides of a view in another shape of as many values, or None where there is none."""
    axes = [(n, step) for n, step in zip(shape, strides, strict=True) if n != 1]
    found: list[int] = []
    for length in reversed(wanted):
        if length == 1 or 0 in wanted:
            found.append(axes[-1][1] if axes else 0)
            continue
        n, step = axes.pop()
        while n < length:  # an axis of the view is several of the array, which must follow each other
            outer, outer_step = axes.pop()
            if outer_step != n * step:
                return None
            n *= outer
        if n % length:
            return None
        found.append(step)
        if n > length:
            axes.append((n // length, step * length))
    return tuple(reversed(found))


def rearranged(view: DeviceArray) -> DeviceArray:
    """Return a C-contiguous copy of a view of any strides."""
    if not view.size:
        return view.new(view.shape, view.dtype)
    return view.run([_rearranging(view.shape, view.strides, view.dtype, view.origin.device)])


# values that make a row of what `passes.copying` writes, if there are as many
_ROW = 4096


@lru_cache(maxsize=256)
def _rearranging(shape: Shape, strides: Shape, dtype: DType, device: int) -> passes.Pass:
    """Return the pass that copies values into order; the last axes make rows, the first two count the planes."""
    size = dtype.itemsize
    if any(stride % size for stride in strides):
        raise ValueError(f"strides of an array of a GPU must be multiples of its {size} bytes, got {strides}")
    axes = [(n, stride // size) for n, stride in zip(shape, strides, strict=True)]
    place = np.zeros(1, np.int64)
    while axes and (len(place) == 1 or len(place) * axes[-1][0] <= _ROW):
        n, step = axes.pop()
        place = np.add.outer(np.arange(n) * step, place).ravel()
    (outer, outer_step), (inner, inner_step) = [*axes[:2], (1, 0), (1, 0)][:2]
    lowest = place.min(initial=0)  # below 0 where an axis runs backwards
    place, start = place - lowest, np.full(1, lowest)
    for n, step in axes[2:]:
        start = np.add.outer(start, np.arange(n) * step).ravel()
    return passes.copying(shape, dtype, passes.Rows(start, place, outer * inner, inner, outer_step, inner_step), device)


_captured: list[Any] = []


def borrowed(name: str, array: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return a view of an array, a DeviceArray or a NumPy array, and what turns a result into the caller's kind.

    Arrays on the CPU are as `arrays.borrowed` describes.

    Raises:
        TypeError: it is no array, or its values have no NumPy dtype.
        ValueError: its library does not export it: it requires a gradient, say.
        RuntimeError: the driver is missing or has no fitting GPU.
    """
    if isinstance(array, np.ndarray) or not _is_on_cuda(array):
        return arrays.borrowed(name, array)
    view = _view(name, array)
    size = view.dtype.itemsize
    if any(place % min(size & -size, 8) for place in (view.address, *view.strides)):
        raise ValueError(f"{name} must lie at multiples of the {size} bytes of {view.dtype} on a GPU")
    if not view.dtype.isnative:
        raise TypeError(f"{name} must be of native byte order on a GPU, got {view.dtype}")
    return view, view.origin.give_back


def _is_on_cuda(array: Any) -> bool:
    if hasattr(array, "__dlpack_device__"):
        return array.__dlpack_device__()[0] in _ON_CUDA
    return hasattr(array, "__cuda_array_interface__")


def _view(name: str, array: Any) -> DeviceArray:
    if isinstance(array, DeviceArray):
        return array
    library = _library(array)
    if library == "torch":
        return _view_of_tensor(name, array)
    if library == "cupy":
        return _view_of_cupy(array)
    if not hasattr(array, "__cuda_array_interface__"):
        return _view_of_dlpack(name, array)
    interface = array.__cuda_array_interface__
    if interface.get("mask") is not None:
        raise ValueError(f"{name} must not have a mask")
    shape, dtype, address = tuple(interface["shape"]), np.dtype(interface["typestr"]), interface["data"][0] or 0
    strides = tuple(interface.get("strides") or dense_strides(shape, dtype))
    if len(strides) != len(shape) or (0 not in shape and not address):
        raise ValueError(f"{name} must have memory and a stride for each axis, got {dict(interface)}")
    device, stream = driver.device_of(address) if address else 0, interface.get("stream")
    origin = _origin(device, stream or _LEGACY_DEFAULT_STREAM, waits=not library and stream is None)
    if library == "numba":
        origin = origin._replace(give_back=_as_numba_array)
    return DeviceArray(address, shape, strides, dtype, origin, array)


def _as_numba_array(view: DeviceArray) -> Any:
    cuda = sys.modules["numba.cuda"]
    with cuda.gpus[view.origin.device]:
        return cuda.as_cuda_array(view, sync=False)


def _library(array: Any) -> str:
    """Return the library of an array, of subclasses too."""
    packages = [kind.__module__.partition(".")[0] for kind in type(array).__mro__]
    return next((package for package in packages if package in ("torch", "cupy", "numba")), "")


def _unchanged(view: DeviceArray) -> DeviceArray:
    return view


def _origin(device: int, stream: int, *, waits: bool = False, ours: bool = False) -> Origin:
    """Return the origin of arrays whose library has no allocator that we know: results lie in the driver's own pool.

    Of a stream that may be gone before a result, only the default ones and `ours` are not, memory is taken and given
    back by waiting for the device.
    """
    ordered = stream if ours or stream <= _PER_THREAD_DEFAULT_STREAM else None

    def allocate(nbytes: int) -> tuple[int, Any]:
        memory = driver.Memory(nbytes, device, ordered)
        return memory.address, memory

    return Origin(device, stream, allocate, _unchanged, waits)


def _view_of_tensor(name: str, tensor: Any) -> DeviceArray:
    torch = sys.modules["torch"]
    if tensor.requires_grad:
        raise ValueError(f"{name} must not require a gradient: detach it first")
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError(f"{name} must be resolved first: its conjugation or negation is pending")
    kind = str(tensor.dtype).removeprefix("torch.")
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise TypeError(f"{name} must have a dtype that NumPy has, got {tensor.dtype}") from error
    device = tensor.device.index

    def allocate(nbytes: int) -> tuple[int, Any]:
        memory = torch.empty(nbytes, dtype=torch.uint8, device=tensor.device)
        return memory.data_ptr(), memory

    def give_back(view: DeviceArray) -> Any:
        steps = [stride // view.dtype.itemsize for stride in view.strides]
        return view.owner.view(getattr(torch, view.dtype.name)).as_strided(view.shape, steps)

    def matmul(*views: DeviceArray) -> None:
        matrix, matrices, result = (torch.as_tensor(view, device=tensor.device) for view in views)
        torch.bmm(matrix.expand(len(matrices), -1, -1), matrices, out=result)

    origin = Origin(device, torch.cuda.current_stream(device).cuda_stream, allocate, give_back, matmul=matmul)
    strides = tuple(step * dtype.itemsize for step in tensor.stride())
    return DeviceArray(tensor.data_ptr(), tuple(tensor.shape), strides, dtype, origin, tensor)


def _view_of_cupy(array: Any) -> DeviceArray:
    cupy = sys.modules["cupy"]
    device = array.device.id

    def allocate(nbytes: int) -> tuple[int, Any]:
        with cupy.cuda.Device(device):
            memory = cupy.cuda.alloc(nbytes)
        return memory.ptr, memory

    def give_back(view: DeviceArray) -> Any:
        with cupy.cuda.Device(device):
            return cupy.ndarray(view.shape, view.dtype, memptr=view.owner, strides=view.strides)

    def matmul(*views: DeviceArray) -> None:
        with cupy.cuda.Device(device):
            matrix, matrices, result = map(matrices_of, views)
            cupy.matmul(matrix, matrices, out=result)

    def matrices_of(view: DeviceArray) -> Any:
        memory = cupy.cuda.UnownedMemory(view.address, view.nbytes, view.owner, device)
        return cupy.ndarray(view.shape, view.dtype, cupy.cuda.MemoryPointer(memory, 0), view.strides)

    with cupy.cuda.Device(device):
        stream = cupy.cuda.get_current_stream().ptr
    origin = Origin(device, stream, allocate, give_back, matmul=matmul)
    return DeviceArray(array.data.ptr, array.shape, array.strides, array.dtype, origin, array)


class _Tensor(ctypes.Structure):
    """DLTensor of DLPack's C header, dlpack.h."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}  # DLDataTypeCode


def _view_of_dlpack(name: str, array: Any) -> DeviceArray:
    stream = _LEGACY_DEFAULT_STREAM
    capsule = array.__dlpack__(stream=stream)  # owns the memory, and releases it when nothing refers to it
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
    if tensor.code not in _KINDS or tensor.lanes != 1:
        raise TypeError(f"{name} must have a dtype that NumPy has, got DLPack's code {tensor.code}")
    kind = _KINDS[tensor.code]
    dtype = np.dtype("bool" if kind == "b" else f"{kind}{tensor.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = dense_strides(shape, dtype)
    if tensor.strides:
        strides = tuple(step * dtype.itemsize for step in tensor.strides[: tensor.ndim])
    address = (tensor.data or 0) + tensor.byte_offset
    origin = _origin(tensor.device_id, stream, waits=True)
    return DeviceArray(address, shape, strides, dtype, origin, (array, capsule))


def number(device: str) -> int:
    """Return the number of a device that is named "cuda" or "cuda:1".

    Raises:
        ValueError: it is not such a name.
    """
    if not isinstance(device, str):
        raise TypeError(f"device must be a str or None, got {device!r}")
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index.isdecimal() or device == "cuda"):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:' and a number, got {device!r}")
    return int(index or 0)


class _Way:
    """A way to a device and back: a stream, and pinned memory of the host, which copies need not wait for.

    Each thread has its own, so that one's copies go on while another's kernels run. When a thread ends, another takes
    over its way, as arrays may still name the stream.
    """

    def __init__(self, device: int) -> None:
        self.device, self.stream = device, driver.new_stream(device)
        self.room: driver.Pinned | None = None
        self.in_use = False

    def pinned(self, nbytes: int) -> Array:
        """Return so many bytes that no copy reads or writes any more."""
        if self.in_use:
            self.wait()
        if self.room is None or self.room.bytes.size < nbytes:
            self.room = None
            try:
                self.room = driver.Pinned(max(nbytes, 1 << 20), self.device)
            except (MemoryError, RuntimeError):  # there is little of it on some machines: copies then wait
                return np.empty(nbytes, np.uint8)
        room: Array = self.room.bytes[:nbytes]
        return room

    def wait(self) -> None:
        driver.synchronize(self.stream)
        self.in_use = False


_free_ways: dict[int, list[_Way]] = {}


class _Taken(dict[int, _Way]):
    """The ways of a thread, by device, which are free when the thread has ended."""

    def __del__(self, free: dict[int, list[_Way]] = _free_ways) -> None:
        for device, way in self.items():
            free.setdefault(device, []).append(way)


class _Ways(threading.local):
    def __init__(self) -> None:
        self.taken = _Taken()


_ways = _Ways()


def _way(device: int) -> _Way:
    """Return this thread's way to a device."""
    if device not in _ways.taken:
        try:
            _ways.taken[device] = _free_ways.setdefault(device, []).pop()
        except IndexError:
            _ways.taken[device] = _Way(device)
    return _ways.taken[device]


def check(device: str) -> None:
    """Raise what a computation on the device of this name would.

    Raises:
        ValueError: it is not such a name.
        RuntimeError: there is no such device, or no driver for it.
    """
    with driver.on(number(device)):
        pass


def uploaded(array: Array, device: int) -> DeviceArray:
    """Return a copy of a NumPy array on a device, its axes in the same order; the stream is this thread's own."""
    way = _way(device)
    order = sorted(range(array.ndim), key=lambda axis: (-abs(array.strides[axis]), axis))
    ordered = array.transpose(order)
    origin = _origin(device, way.stream, ours=True)
    address, owner = origin.allocate(array.nbytes)
    with driver.on(device):
        staged = way.pinned(array.nbytes).view(array.dtype).reshape(ordered.shape)
        np.copyto(staged, ordered)
        driver.copy_to_device(address, staged, way.stream)
        way.in_use = True
    view = DeviceArray(address, ordered.shape, dense_strides(ordered.shape, array.dtype), array.dtype, origin, owner)
    return view.transpose(tuple(int(axis) for axis in np.argsort(order)))


def downloaded(view: DeviceArray) -> Array:
    """Return a NumPy array of the values, with the same order of axes in memory."""
    order = sorted(range(view.ndim), key=lambda axis: (-view.strides[axis], axis))
    dense = view.dense(tuple(order))
    way = _way(view.origin.device)
    with driver.on(way.device):
        staged = way.pinned(dense.nbytes)
        driver.copy_to_host(staged, dense.address, view.origin.stream)
        driver.synchronize(view.origin.stream)
        result = staged.view(dense.dtype).reshape(dense.shape).copy()
    return np.asarray(result.transpose(np.argsort(order)))


def synchronize(view: DeviceArray) -> None:
    """Wait until all that was given to an array's stream is done; then any stream may read it."""
    with driver.on(view.origin.device):
        driver.synchronize(view.origin.stream)
    if isinstance(view.owner, driver.Memory):
        view.owner.leave_stream()
