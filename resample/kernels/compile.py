"""From a kernel's Python source to the object code of a C function: the only module that drives Numba."""

from __future__ import annotations

import importlib

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types

SYMBOL = "kernel"


def object_code(module: str, name: str, arguments: tuple[str, ...], machine: llvm.TargetMachine) -> bytes:
    """Return relocatable object code that defines SYMBOL, for the processor of `machine`.

    The function takes one pointer, to the arguments as int64, pointers among them, and returns 0.

    Raises:
        RuntimeError: the kernel calls into Python or Numba, so its object code could not be loaded without them.
    """
    function = getattr(importlib.import_module(module), name)
    signature = types.void(*(_numba_type(argument) for argument in arguments))
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
    compiled = numba.njit(signature, **options)(function)
    program = llvm.parse_assembly(compiled.inspect_llvm(signature.args))
    for item in program.functions:
        if item.is_declaration and not item.name.startswith("llvm."):
            raise RuntimeError(f"kernel {name} calls {item.name}, which is not there without numba")
    # functions that the kernel calls are defined beside it, but with a linkage that lets copies be merged
    (entry,) = [item for item in program.functions if item.linkage == llvm.Linkage.external and not item.is_declaration]
    program.link_in(llvm.parse_assembly(str(_unpacking(entry.name, arguments))))
    program.verify()
    return bytes(machine.emit_object(program))


def _unpacking(name: str, arguments: tuple[str, ...]) -> ir.Module:
    """Return a module that defines SYMBOL, which calls Numba's function with what it finds in a block of int64.

    For ctypes each argument takes as long as the rest of a call.
    """
    number, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
    kinds = [pointer if argument.endswith("*") else number for argument in arguments]
    module = ir.Module()
    # Numba's functions begin with slots for a result, which they clear, and an error
    inner = ir.Function(module, ir.FunctionType(ir.IntType(32), [pointer.as_pointer()] * 2 + kinds), name)
    outer = ir.Function(module, ir.FunctionType(ir.IntType(32), [number.as_pointer()]), SYMBOL)
    builder = ir.IRBuilder(outer.append_basic_block())
    slot = builder.alloca(pointer)
    values = [builder.load(builder.gep(outer.args[0], [number(k)])) for k in range(len(kinds))]
    values = [builder.inttoptr(v, kind) if kind is pointer else v for v, kind in zip(values, kinds, strict=True)]
    builder.ret(builder.call(inner, [slot, slot, *values]))
    return module


def _numba_type(argument: str) -> types.Type:
    scalar = getattr(types, argument.removesuffix("*"))
    return types.CPointer(scalar) if argument.endswith("*") else scalar
