"""From a kernel's Python source to the object code of a C function: the only module that drives Numba."""

from __future__ import annotations

import importlib

import llvmlite.binding as llvm
import numba
from numba import types

SYMBOL = "kernel"


def object_code(module: str, name: str, arguments: tuple[str, ...], machine: llvm.TargetMachine) -> bytes:
    """Return relocatable object code that defines SYMBOL, for the processor of `machine`.

    The function takes `void **unused, void **unused` (Numba's slots for a result and an error, the first of which it
    clears) and then `arguments`, and returns 0.

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
    entry.name = SYMBOL
    program.verify()
    return bytes(machine.emit_object(program))


def _numba_type(argument: str) -> types.Type:
    scalar = getattr(types, argument.removesuffix("*"))
    return types.CPointer(scalar) if argument.endswith("*") else scalar
