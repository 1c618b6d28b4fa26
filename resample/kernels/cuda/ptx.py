"""From a kernel's Python source to PTX, NVIDIA's assembly language: the only module here that drives Numba.

Numba turns the source into LLVM IR, and the LLVM that llvmlite brings turns that into PTX for the oldest card that is
supported, which the driver of any newer one assembles for itself. No CUDA toolkit and no numba-cuda are needed.
"""

from __future__ import annotations

import importlib
import re
import threading

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import compiler, config
from numba.core.registry import cpu_target

from resample.kernels.cuda.constants import SYMBOL, TARGET

_POINTER = ir.IntType(8).as_pointer()
_lock = threading.Lock()


def compiled(module: str, name: str, arguments: tuple[str, ...]) -> bytes:
    """Return PTX, ended by a zero, whose entry is SYMBOL; its first line names the kernel.

    Raises:
        RuntimeError: the kernel calls into Python or Numba.
    """
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    processor, features = TARGET
    machine = llvm.Target.from_triple("nvptx64-nvidia-cuda").create_target_machine(processor, features, opt=3)
    program = linked(module, name, arguments, machine.triple, str(machine.target_data), "ptx_kernel")
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = tuning.slp_vectorization = False
    tuning.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(program, builder)
    title = f"// {module} {name} {' '.join(arguments)}\n"
    return bytes((title + machine.emit_assembly(program)).encode()) + b"\0"


def linked(
    module: str, name: str, arguments: tuple[str, ...], triple: str, layout: str, convention: str
) -> llvm.ModuleRef:
    """Return the kernel as LLVM IR that is not optimised, with an entry of this calling convention."""
    signature = types.void(*(_numba_type(argument) for argument in arguments))
    function = getattr(importlib.import_module(module), name)
    with _lock:
        text = _unoptimised(function, signature)
    text = re.sub(r'target triple = "[^"]*"', f'target triple = "{triple}"', text)
    text = re.sub(r'target datalayout = "[^"]*"', f'target datalayout = "{layout}"', text)
    text = re.sub(r'"(target-cpu|target-features|probe-stack)"="[^"]*"', "", text)
    program = llvm.parse_assembly(text)
    for item in program.functions:
        if item.is_declaration and not item.name.startswith("llvm."):
            raise RuntimeError(f"kernel {name} calls {item.name}, which is not there on a GPU")
    (inner,) = [item for item in program.functions if item.linkage == llvm.Linkage.external and not item.is_declaration]
    program.link_in(llvm.parse_assembly(_entry(inner.name, signature, triple, layout, convention)))
    for item in [*program.functions, *program.global_variables]:
        if item.name != SYMBOL and not item.is_declaration:
            item.linkage = llvm.Linkage.internal
    program.verify()
    return program


def _unoptimised(function: object, signature: types.Type) -> str:
    """Return Numba's LLVM IR as it is before LLVM's passes, which would make vectors of a CPU's width."""
    level = config.OPT
    config.OPT = type(level)(0)
    try:
        flags = compiler.Flags()
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        flags.error_model = "numpy"
        contexts = cpu_target.typing_context, cpu_target.target_context
        result = compiler.compile_extra(*contexts, function, signature.args, signature.return_type, flags, {})
        return str(result.library.get_llvm_str())
    finally:
        config.OPT = level


def _entry(name: str, signature: types.Type, triple: str, layout: str, convention: str) -> str:
    """Return a module that defines SYMBOL, which calls Numba's function with slots for a result and an error."""
    kinds = [cpu_target.target_context.get_value_type(kind) for kind in signature.args]
    module = ir.Module()
    module.triple, module.data_layout = triple, layout
    inner = ir.Function(module, ir.FunctionType(ir.IntType(32), [_POINTER.as_pointer()] * 2 + kinds), name)
    outer = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), SYMBOL)
    outer.calling_convention = convention
    builder = ir.IRBuilder(outer.append_basic_block())
    slot = builder.alloca(_POINTER)
    builder.call(inner, [slot, slot, *outer.args])
    builder.ret_void()
    return str(module)


def _numba_type(argument: str) -> types.Type:
    scalar = getattr(types, argument.removesuffix("*"))
    return types.CPointer(scalar) if argument.endswith("*") else scalar
