"""What kernels say that Python has no word for, as Numba intrinsics of a few lines of portable LLVM IR each.

Nothing here is NVIDIA's but the position of a thread in its grid and a few instructions on packed bytes, so that the
same IR, with other positions and a definition of these, runs on a CPU in tests. Accesses of more than one value need a
pointer that is a multiple of their size.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

INT32, INT64 = ir.IntType(32), ir.IntType(64)

# bytes that one instruction moves; longer vectors are several of these
MOST_ALIGNED = 16


def _place(builder, pointer, index, kind):
    """Return the address of pointer[index], an int64 or, as offsets inside a plane are, a uint32."""
    if kind.bitwidth < 64:
        index = (builder.sext if kind.signed else builder.zext)(index, INT64)
    return builder.gep(pointer, [index])


@intrinsic
def load(typing_context, pointer, index):
    """Return pointer[index], of data that no one writes meanwhile."""

    def emit(context, builder, signature, arguments):
        return _read(context, builder, _place(builder, arguments[0], arguments[1], index), 1)

    return pointer.dtype(pointer, index), emit


@intrinsic(prefer_literal=True)
def load_vector(typing_context, into, at, pointer, index, lanes):
    """Put pointer[index : index + lanes], of data that no one writes meanwhile, into the registers into[at:]."""
    count = lanes.literal_value

    def emit(context, builder, signature, arguments):
        into, at, pointer, offset, _ = arguments
        value = _read(context, builder, _place(builder, pointer, offset, index), count)
        for k in range(count):
            part = builder.extract_element(value, INT32(k)) if count > 1 else value
            builder.store(part, builder.gep(into, [builder.add(at, at.type(k))]))
        return context.get_dummy_value()

    return types.void(types.CPointer(pointer.dtype), types.int64, pointer, index, lanes), emit


def _read(context, builder, place, lanes):
    element = place.type.pointee
    whole = ir.VectorType(element, lanes) if lanes > 1 else element
    value = builder.load(builder.bitcast(place, whole.as_pointer(place.type.addrspace)))
    value.align = min(lanes * context.get_abi_sizeof(element), MOST_ALIGNED)
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@intrinsic(prefer_literal=True)
def read_words(typing_context, into, at, pointer, index, words):
    """Put the bytes from pointer[index] on, wherever it is, into the registers into[at : at + words], of uint32.

    No aligned word is touched in which none of them lies.
    """
    count = words.literal_value

    def emit(context, builder, signature, arguments):
        def aligned(place):
            word = builder.inttoptr(builder.and_(place, INT64(-4)), INT32.as_pointer())
            # of global memory, which is not known of a number
            return _read(context, builder, builder.addrspacecast(word, INT32.as_pointer(1), "addrspacecast"), 1)

        first = builder.ptrtoint(_place(builder, arguments[2], arguments[3], index), INT64)
        byte = builder.trunc(first, INT32)
        parts = [aligned(builder.add(first, INT64(4 * k))) for k in range(count)]
        parts.append(aligned(builder.add(first, INT64(4 * count - 1))))
        for k in range(count):
            # four of the eight bytes of two words, from that on whose number are the lowest two bits of the place
            part = _issued(builder, "prmt.b32.f4e", [parts[k], parts[k + 1], byte])
            builder.store(part, builder.gep(arguments[0], [builder.add(arguments[1], INT64(k))]))
        return context.get_dummy_value()

    return types.void(types.CPointer(types.uint32), types.int64, pointer, index, words), emit


@intrinsic
def store(typing_context, pointer, index, value):
    """Write pointer[index]."""

    def emit(context, builder, signature, arguments):
        builder.store(arguments[2], _place(builder, arguments[0], arguments[1], index))
        return context.get_dummy_value()

    return types.void(pointer, index, pointer.dtype), emit


@intrinsic(prefer_literal=True)
def store_vector(typing_context, pointer, index, values, lanes):
    """Write the registers values[:lanes] to pointer[index:]."""
    count = lanes.literal_value

    def emit(context, builder, signature, arguments):
        place = _place(builder, arguments[0], arguments[1], index)
        element = place.type.pointee
        whole = ir.Constant(ir.VectorType(element, count), ir.Undefined)
        for k in range(count):
            part = builder.load(builder.gep(arguments[2], [INT64(k)]))
            whole = builder.insert_element(whole, part, INT32(k))
        written = builder.store(whole, builder.bitcast(place, whole.type.as_pointer()))
        written.align = min(count * context.get_abi_sizeof(element), MOST_ALIGNED)
        return context.get_dummy_value()

    return types.void(pointer, index, pointer, lanes), emit


@intrinsic
def after(typing_context, pointer, offset):
    """Return pointer + offset, in 64 bits: where a plane begins. Offsets within it may then be uint32."""

    def emit(context, builder, signature, arguments):
        return _place(builder, arguments[0], arguments[1], offset)

    return pointer(pointer, offset), emit


@intrinsic
def place_in_word(typing_context, pointer):
    """Return how many bytes lie before a pointer in its aligned word of four."""

    def emit(context, builder, signature, arguments):
        return builder.and_(builder.ptrtoint(arguments[0], INT32), INT32(3))

    return types.uint32(pointer), emit


@intrinsic
def as_words(typing_context, pointer):
    """Return a pointer to bytes as one to words."""

    def emit(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], INT32.as_pointer(arguments[0].type.addrspace))

    return types.CPointer(types.uint32)(pointer), emit


@intrinsic(prefer_literal=True)
def registers(typing_context, example, count):
    """Return a pointer to `count` (a literal) values of the type of `example`, the thread's own, not cleared.

    They become registers if every index is a constant once loops of constant length are unrolled; else slow memory,
    which tests find.
    """

    def emit(context, builder, signature, arguments):
        kind = context.get_data_type(example)
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(kind, count.literal_value))
        return builder.bitcast(room, kind.as_pointer())

    return types.CPointer(example)(example, count), emit


@intrinsic
def settled(typing_context, value):
    """Return a value as it is, of which LLVM does not ask how it changes from turn to turn of loops.

    Else it would keep all that is so many values on in registers of its own, and change each of them in each loop.
    """

    def emit(context, builder, signature, arguments):
        return builder.asm(ir.FunctionType(INT32, [INT32]), "", "=r,0", arguments, side_effect=False)

    return value(value), emit


def _position(register):
    @intrinsic
    def read(typing_context):
        def emit(context, builder, signature, arguments):
            kind = ir.FunctionType(INT32, [])
            return builder.call(builder.module.declare_intrinsic(f"llvm.nvvm.read.ptx.sreg.{register}", fnty=kind), [])

        return types.uint32(), emit

    return read


block_x, block_y, block_z = (_position(f"ctaid.{axis}") for axis in "xyz")
thread_x, thread_y, thread_z = (_position(f"tid.{axis}") for axis in "xyz")
block_size_x, block_size_y, block_size_z = (_position(f"ntid.{axis}") for axis in "xyz")
grid_size_x, grid_size_y, grid_size_z = (_position(f"nctaid.{axis}") for axis in "xyz")


@intrinsic
def widened(typing_context, value):
    """Return a value as the type it is summed in: bytes as int32, float16 (its bits in a uint16) as float32."""
    result = {types.uint8: types.int32, types.uint16: types.float32}.get(value, value)

    def emit(context, builder, signature, arguments):
        if value == types.uint8:
            return builder.zext(arguments[0], INT32)
        if value == types.uint16:
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
        return arguments[0]

    return result(value), emit


def _instruction(name, result):
    """Return an instruction of PTX on three registers."""

    @intrinsic
    def issue(typing_context, a, b, c):
        def emit(context, builder, signature, arguments):
            return _issued(builder, name, arguments)

        return result(a, b, c), emit

    return issue


def _issued(builder, name, arguments):
    kind = ir.FunctionType(INT32, [INT32] * 3)
    return builder.asm(kind, f"{name} $0, $1, $2, $3;", "=r,r,r,r", arguments, side_effect=False)


# c plus the two int16 of a times the lower, or the upper, two bytes of b
dot_low = _instruction("dp2a.lo.s32.u32", types.int32)
dot_high = _instruction("dp2a.hi.s32.u32", types.int32)
# of the eight bytes of a and b those four whose numbers are the lowest hexadecimal digits of c
chosen = _instruction("prmt.b32", types.uint32)
# b and a, clamped to a byte's range, below the lower half of c
clamped = _instruction("cvt.pack.sat.u8.s32.b32", types.uint32)


@intrinsic
def first_total(typing_context, weight, precision):
    """Return what a sum starts from: minus zero for floats, one half in units of 2**-precision else."""

    def emit(context, builder, signature, arguments):
        if isinstance(weight, types.Float):
            # the neutral element: +0 would turn a row of -0 into +0
            return ir.Constant(context.get_data_type(weight), -0.0)
        return builder.lshr(builder.shl(INT32(1), arguments[1]), INT32(1))

    return weight(weight, types.int32), emit


@intrinsic
def multiply_add(typing_context, a, b, total):
    """Return `a * b + total` in their one type: with one rounding for floats, exact for int32."""

    def emit(context, builder, signature, arguments):
        if isinstance(total, types.Float):
            return builder.fma(*arguments)
        return builder.add(builder.mul(*arguments[:2]), arguments[2])

    return total(total, total, total), emit


@intrinsic
def shifted(typing_context, total, precision):
    """Return an int32 sum, in units of 2**-precision, rounded down to a whole number."""

    def emit(context, builder, signature, arguments):
        return builder.ashr(*arguments)

    return types.int32(types.int32, types.int32), emit


@intrinsic
def levelled(typing_context, total, precision):
    """Return an int32 sum, in units of 2**-precision, shifted and clamped to a byte's range; a float as it is."""

    def emit(context, builder, signature, arguments):
        if isinstance(total, types.Float):
            return arguments[0]
        level = builder.ashr(*arguments)
        level = builder.select(builder.icmp_signed("<", level, INT32(0)), INT32(0), level)
        return builder.select(builder.icmp_signed(">", level, INT32(255)), INT32(255), level)

    return total(total, types.int32), emit


@intrinsic
def narrowed(typing_context, value, pointer):
    """Return a value as the pointer's type holds it: the inverse of `widened`."""

    def emit(context, builder, signature, arguments):
        if pointer.dtype == types.uint8:
            return builder.trunc(arguments[0], ir.IntType(8))
        if pointer.dtype == types.uint16:
            return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))
        return arguments[0]

    return pointer.dtype(value, pointer), emit


@intrinsic
def as_float(typing_context, number, example):
    """Return a uint32 as a float of the type of `example`."""

    def emit(context, builder, signature, arguments):
        return builder.uitofp(arguments[0], context.get_data_type(example))

    return example(types.uint32, example), emit


@intrinsic
def converted(typing_context, value, pointer):
    """Return a number as the pointer's type: by C's rules, unlike `narrowed`."""

    def emit(context, builder, signature, arguments):
        return context.cast(builder, arguments[0], value, pointer.dtype)

    return pointer.dtype(value, pointer), emit


@intrinsic
def atomic_max(typing_context, pointer, index, value):
    """Make pointer[index] an unsigned value if that is larger, whatever other threads do to it meanwhile."""

    def emit(context, builder, signature, arguments):
        place = _place(builder, arguments[0], arguments[1], index)
        builder.atomic_rmw("umax", place, arguments[2], "monotonic")
        return context.get_dummy_value()

    return types.void(pointer, index, pointer.dtype), emit
