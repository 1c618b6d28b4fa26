"""A CUDA driver without a GPU, for tests: kernels run on the CPU, a thread after the other, from the IR of the GPU's.

Device memory is host memory that ends, to the 16 bytes that vectors are aligned to, at a page that may not be touched,
so that an access out of bounds ends the process. A vector that is not aligned ends it only where LLVM has left it a
vector. What is allocated is filled with 0xA5.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from resample.kernels import store
from resample.kernels.cuda import driver, passes
from resample.kernels.cuda.constants import SYMBOL

REGISTERS = [f"{name}.{axis}" for name in ("ctaid", "tid", "ntid", "nctaid") for axis in "xyz"]
INSTRUCTIONS = ["dp2a.lo.s32.u32", "dp2a.hi.s32.u32", "prmt.b32", "prmt.b32.f4e", "cvt.pack.sat.u8.s32.b32"]
INT32, INT64, POINTER = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
_code: list[Any] = []  # owns the code of twins
_one_at_a_time = threading.Lock()


@cache
def twin(module: str, name: str, arguments: tuple[str, ...]) -> Any:
    """Return `run(parameters, grid, block)`, a C function: the addresses of the arguments, two times three uint32."""
    from resample.kernels.cuda import ptx

    machine = store._machine()
    program = str(ptx.linked(module, name, arguments, machine.triple, str(machine.target_data), "ccc"))
    for slot, register in enumerate(REGISTERS):
        intrinsic = f"@llvm.nvvm.read.ptx.sreg.{register}()"
        place = f"getelementptr ([12 x i32], ptr @position, i64 0, i64 {slot})"
        lines = [line for line in program.splitlines() if not (line.startswith("declare") and intrinsic in line)]
        calls = f"call i32 {intrinsic}"
        program = "\n".join(line.replace(calls, f"load volatile i32, ptr {place}") for line in lines)
        program = program.replace(f"tail {calls}", calls)
    for name in INSTRUCTIONS:
        program = program.replace(f'asm "{name} $0, $1, $2, $3;", "=r,r,r,r"', f"@{name}")
    whole = llvm.parse_assembly(f"{program}\n@position = global [12 x i32] zeroinitializer\n{_instructions()}")
    whole.link_in(llvm.parse_assembly(str(_loop(arguments, machine))))
    tuning = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(whole, builder)
    linked = llvm.create_mcjit_compiler(whole, machine)
    linked.finalize_object()
    _code.append(linked)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(linked.get_function_address("run"))


def _instructions() -> str:
    """Return the definitions of a GPU's instructions on packed integers, by the manual of PTX.

    https://docs.nvidia.com/cuda/parallel-thread-execution/
    """
    module = ir.Module()

    def parts(value: Any, width: int) -> list[Any]:
        return [builder.trunc(builder.lshr(value, INT32(k * width)), ir.IntType(width)) for k in range(32 // width)]

    for name in INSTRUCTIONS:
        function = ir.Function(module, ir.FunctionType(INT32, [INT32] * 3), name)
        function.linkage = "internal"
        builder = ir.IRBuilder(function.append_basic_block())
        a, b, c = function.args
        if name.startswith("dp2a"):
            bytes_ = parts(b, 8)[2:] if ".hi." in name else parts(b, 8)[:2]
            for weight, byte in zip(parts(a, 16), bytes_, strict=True):
                c = builder.add(c, builder.mul(builder.sext(weight, INT32), builder.zext(byte, INT32)))
            result = c
        elif name.startswith("prmt"):
            both = builder.or_(builder.shl(builder.zext(b, INT64), INT64(32)), builder.zext(a, INT64))
            if name == "prmt.b32.f4e":
                c = builder.add(builder.mul(builder.and_(c, INT32(3)), INT32(0x1111)), INT32(0x3210))
            result = INT32(0)
            for k, digit in enumerate(parts(c, 4)[:4]):
                shift = builder.shl(builder.zext(builder.and_(digit, digit.type(7)), INT64), INT64(3))
                byte = builder.and_(builder.trunc(builder.lshr(both, shift), INT32), INT32(255))
                result = builder.or_(result, builder.shl(byte, INT32(8 * k)))
        else:
            result = builder.shl(c, INT32(16))
            for k, level in enumerate((b, a)):
                level = builder.select(builder.icmp_signed("<", level, INT32(0)), INT32(0), level)
                level = builder.select(builder.icmp_signed(">", level, INT32(255)), INT32(255), level)
                result = builder.or_(result, builder.shl(level, INT32(8 * k)))
        builder.ret(result)
    return "\n".join(map(str, module.functions))


def _loop(arguments: tuple[str, ...], machine: llvm.TargetMachine) -> ir.Module:
    kinds = {"int32": INT32, "uint32": INT32, "int64": INT64, "float32": ir.FloatType(), "float64": ir.DoubleType()}
    types = [POINTER if argument.endswith("*") else kinds[argument] for argument in arguments]
    module = ir.Module()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    position = ir.GlobalVariable(module, ir.ArrayType(INT32, 12), "position")
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "kernel")
    run = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER.as_pointer(), *[INT32.as_pointer()] * 2]), "run")
    builder = ir.IRBuilder(run.append_basic_block())

    def put(slot: int, value: Any) -> None:
        builder.store(value, builder.gep(position, [INT32(0), INT32(slot)]))

    values = []
    for k, kind in enumerate(types):
        place = builder.load(builder.gep(run.args[0], [INT32(k)]))
        values.append(builder.load(builder.bitcast(place, kind.as_pointer())))
    extents = [builder.load(builder.gep(extent, [INT32(k)])) for extent in run.args[1:] for k in range(3)]
    total = INT64(1)
    for k, extent in enumerate(extents):
        put((9, 10, 11, 6, 7, 8)[k], extent)
        total = builder.mul(total, builder.zext(extent, INT64))
    begin, body, end = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(body)
    builder.position_at_start(body)
    index = builder.phi(INT64)
    index.add_incoming(INT64(0), begin)
    rest: Any = index
    for slot, extent in ((3, 3), (4, 4), (5, 5), (0, 0), (1, 1), (2, 2)):  # threads of a block, then blocks
        length = builder.zext(extents[extent], INT64)
        put(slot, builder.trunc(builder.urem(rest, length), INT32))
        rest = builder.udiv(rest, length)
    builder.call(kernel, values)
    following = builder.add(index, INT64(1))
    index.add_incoming(following, body)
    builder.cbranch(builder.icmp_unsigned("<", following, total), body, end)
    builder.position_at_start(end)
    builder.ret_void()
    return module


class _Contexts(threading.local):
    """The stack of contexts of a thread: each has its own, as in CUDA."""

    def __init__(self) -> None:
        self.stack = [0]


class Driver:
    """What `driver.library` returns: the functions of libcuda that are used, with ctypes arguments."""

    def __init__(self, devices: int = 1, capability: tuple[int, int] = (9, 0)) -> None:
        self.devices, self.capability = devices, capability
        self.blocks: dict[int, tuple[mmap.mmap, int, int]] = {}  # by address: memory, size, device
        self.pinned: dict[int, Any] = {}
        self.contexts = _Contexts()
        self.modules: list[tuple[str, str, tuple[str, ...]]] = []
        self.launches: list[tuple[str, tuple[int, ...], tuple[int, ...], int]] = []
        self.synchronized = self.uploads = self.copies = 0
        self.capturing = False
        self.has_pools = True

    def cuGetErrorString(self, code: int, text: Any) -> int:
        text._obj.value = b"simulated"
        return 0

    def cuDeviceGetCount(self, number: Any) -> int:
        number._obj.value = self.devices
        return 0

    def cuDeviceGetAttribute(self, number: Any, attribute: int, device: int) -> int:
        number._obj.value = self.capability[attribute - 75]
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> int:
        context._obj.value = 1 + device
        return 0

    def cuCtxGetCurrent(self, context: Any) -> int:
        context._obj.value = self.contexts.stack[-1]
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:
        self.contexts.stack.append(context.value)
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:
        self.contexts.stack.pop()
        return 0

    def cuPointerGetAttribute(self, number: Any, attribute: int, address: Any) -> int:
        for begin, (_, size, device) in list(self.blocks.items()):  # threads add to it
            if begin <= address.value < begin + size:
                number._obj.value = device
                return 0
        return 1

    def cuMemAlloc_v2(self, address: Any, size: Any) -> int:
        if not self.contexts.stack[-1]:
            return 201
        if size.value > 1 << 30:
            return 2
        page, used = mmap.PAGESIZE, -(-size.value // 16) * 16
        length = -(-used // page) * page
        memory = mmap.mmap(-1, length + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        ctypes.memset(start, 0xA5, length + 2 * page)
        libc = ctypes.CDLL(None)
        for guard in (start, start + page + length):
            assert libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        address._obj.value = start + page + length - used
        self.blocks[address._obj.value] = (memory, size.value, self.contexts.stack[-1] - 1)
        return 0

    def cuMemAllocAsync(self, address: Any, size: Any, stream: Any) -> int:
        return self.cuMemAlloc_v2(address, size) if self.has_pools else 801

    def cuMemHostAlloc(self, address: Any, size: Any, flags: int) -> int:
        self.pinned[len(self.pinned)] = room = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(room)
        return 0

    def cuMemFreeHost(self, address: Any) -> int:
        return 0

    def cuMemFree_v2(self, address: Any) -> int:
        del self.blocks[address.value]
        return 0

    def cuMemFreeAsync(self, address: Any, stream: Any) -> int:
        return self.cuMemFree_v2(address)

    def cuMemcpyHtoD_v2(self, to: Any, source: Any, size: Any) -> int:
        if not self.contexts.stack[-1]:
            return 201
        self.copies += 1
        ctypes.memmove(to.value, source.value, size.value)
        return 0

    def cuMemcpyHtoDAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> int:
        return self.cuMemcpyHtoD_v2(to, source, size)

    def cuMemcpyDtoHAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> int:
        if not self.contexts.stack[-1]:
            return 201
        self.copies += 1
        ctypes.memmove(to.value, source.value, size.value)
        return 0

    def cuMemsetD8Async(self, to: Any, value: Any, size: Any, stream: Any) -> int:
        if not self.contexts.stack[-1]:
            return 201
        ctypes.memset(to.value, value.value, size.value)
        return 0

    def cuCtxSynchronize(self) -> int:
        return 0 if self.contexts.stack[-1] else 201

    def cuStreamSynchronize(self, stream: Any) -> int:
        if not self.contexts.stack[-1]:
            return 201
        if stream.value:
            self.synchronized += 1
        else:
            self.uploads += 1  # of tables, once a plan
        return 0

    def cuStreamCreate(self, stream: Any, flags: int) -> int:
        stream._obj.value = 77
        return 0

    def cuStreamIsCapturing(self, stream: Any, status: Any) -> int:
        status._obj.value = int(self.capturing)
        return 0 if self.contexts.stack[-1] else 201

    def cuModuleLoadData(self, image: Any, code: bytes) -> int:
        module, name, *types = code.decode().splitlines()[0].removeprefix("// ").split()
        self.modules.append((module, name, tuple(types)))
        image._obj.value = len(self.modules)
        return 0

    def cuModuleGetFunction(self, function: Any, image: Any, name: bytes) -> int:
        assert name == SYMBOL.encode()
        function._obj.value = image.value
        return 0

    def cuLaunchKernel(self, function: Any, *rest: Any) -> int:
        grid, block, (shared, stream, parameters, extra) = rest[:3], rest[3:6], rest[6:]
        assert self.contexts.stack[-1]
        assert shared == 0
        assert parameters is None
        assert min(*grid, *block) > 0
        assert max(grid[1:]) <= 65535
        assert block[0] * block[1] * block[2] <= 1024
        assert block[2] <= 64
        module, name, types = self.modules[function.value - 1]
        size = ctypes.c_size_t.from_address(extra[3]).value
        packed = ctypes.string_at(extra[1], size)
        offset, cells = 0, []
        for kind in types:
            width = 8 if kind.endswith("*") or kind.endswith("64") else 4
            offset = -(-offset // width) * width
            cells.append(ctypes.create_string_buffer(packed[offset : offset + width], width))
            offset += width
        assert offset <= size
        addresses = (ctypes.c_void_p * len(cells))(*map(ctypes.addressof, cells))
        with _one_at_a_time:  # positions are global variables
            twin(module, name, types)(addresses, (ctypes.c_uint32 * 3)(*grid), (ctypes.c_uint32 * 3)(*block))
        self.launches.append((name, grid, block, stream.value or 0))
        return 0


class Array:
    """An array on the simulated device that speaks the CUDA array interface."""

    def __init__(self, values: np.ndarray, stream: int | None = 1) -> None:
        # all memory from the first to the last value, so that strides stay as they are
        steps = [(n - 1) * step for n, step in zip(values.shape, values.strides, strict=True)] if values.size else [0]
        before, behind = -sum(min(step, 0) for step in steps), sum(max(step, 0) for step in steps)
        size = before + behind + values.itemsize
        raw = np.frombuffer(ctypes.string_at(values.ctypes.data - before, size if values.size else 0), np.uint8)
        self.memory = driver.Memory(raw.nbytes, 0)
        with driver.on(0):
            driver.copy_to_device(self.memory.address, raw, 0)
        self.__cuda_array_interface__ = {
            "shape": values.shape, "strides": values.strides, "typestr": values.dtype.str,
            "data": (self.memory.address + before, False), "version": 3, "stream": stream,
        }  # fmt: skip


def fetched(result: Any) -> np.ndarray:
    """Return the values of a result on the simulated device."""
    interface = result.__cuda_array_interface__
    dtype, shape, strides = np.dtype(interface["typestr"]), interface["shape"], interface["strides"]
    if 0 in shape:
        return np.empty(shape, dtype)
    extent = dtype.itemsize + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    raw = np.frombuffer(ctypes.string_at(interface["data"][0], extent), np.uint8)
    return np.lib.stride_tricks.as_strided(raw[: dtype.itemsize].view(dtype), shape, strides).copy()


def _title(module: str, name: str, arguments: tuple[str, ...]) -> str:
    return f"// {module} {name} {' '.join(arguments)}\n\0"


@contextlib.contextmanager
def simulated(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Driver]:
    """Within this, the driver is a simulated one."""
    from resample import convolution_gpu, devices, pooling_gpu

    found = Driver(**options)
    caches: list[Callable[[], None]] = [
        driver._primary.cache_clear, passes.planned.cache_clear, devices._rearranging.cache_clear, driver._loaded.clear,
        devices._ways.taken.clear, devices._free_ways.clear, convolution_gpu._plan.cache_clear,
        pooling_gpu._pooling.cache_clear, pooling_gpu._placing.cache_clear,
    ]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(driver, "library", lambda: found)
        patch.setattr(driver, "_code", lambda *kernel: _title(*kernel).encode())
        for clear in caches:
            clear()
        yield found
        for clear in caches:
            clear()
