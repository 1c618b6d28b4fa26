"""The vocabulary of the kernels that Python has no word for, as Numba intrinsics of a few lines of LLVM IR each.

First scalars, for the plain kernels; then vectors, for their fast twins; blocks of vectors in memory, for the
transposed convolution, and numbers that threads share. Vectors may be of any length: LLVM splits what is longer than a
register. All is portable IR but what chooses bytes and floats by a table, packs, multiplies bytes, or talks to other
threads, which IR has no word for.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_jitable, register_model

from resample.kernels import processor
from resample.kernels.sizes import VECTOR

INT32 = ir.IntType(32)


@intrinsic
def fma(typing_context, a, b, c):
    """Return `a * b + c` with one rounding, for three floats of one type."""

    def emit(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return c(c, c, c), emit


@intrinsic
def either(typing_context, condition, a, b):
    """Return `a if condition else b` without a branch."""

    def emit(context, builder, signature, arguments):
        return builder.select(*arguments)

    return a(condition, a, b), emit


def multiply_add(a, b, total):
    """Return `a * b + total` in the type of `total`: fused for floats, exact in int32 for integers."""


@overload(multiply_add)
def _multiply_add(a, b, total):
    if isinstance(total, types.Float):
        return lambda a, b, total: fma(a, b, total)
    return lambda a, b, total: types.int32(total + types.int32(a) * types.int32(b))


def first_total(weight, precision):
    """Return what a sum of products starts from: minus zero for floats, one half in units of 2**-precision else."""


@overload(first_total)
def _first_total(weight, precision):
    if isinstance(weight.dtype, types.Float):
        zero = weight.dtype(-0.0)  # the neutral element: +0 would turn a row of -0 into +0
        return lambda weight, precision: zero
    return lambda weight, precision: types.int32((1 << precision) >> 1)


def rounded(total, precision):
    """Return a finished sum as a value of the output: unchanged for floats, shifted and clamped to a byte else."""


@overload(rounded)
def _rounded(total, precision):
    if isinstance(total, types.Float):
        return lambda total, precision: total

    def to_byte(total, precision):
        level = total >> types.int32(precision)
        return types.uint8(0 if level < 0 else (255 if level > 255 else level))

    return to_byte


@intrinsic(prefer_literal=True)
def totals(typing_context, weight, length):
    """Return a stack buffer for `length` (a literal) running sums of products with weights of this pointer's type."""
    element = weight.dtype if isinstance(weight.dtype, types.Float) else types.int32

    def emit(context, builder, signature, arguments):
        kind = context.get_data_type(element)
        with builder.goto_entry_block():
            buffer = builder.alloca(ir.ArrayType(kind, length.literal_value))
        return builder.bitcast(buffer, kind.as_pointer())

    return types.CPointer(element)(weight, length), emit


@register_jitable
def second_first(k, taps):
    """Return the k-th tap in torch's order 1, 0, 2, 3, ...: it rounds the second product and fuses the others."""
    return k ^ 1 if k < 2 and taps > 1 else k


class Vector(types.Type):
    """A vector of integers or floats of one type."""

    def __init__(self, element, lanes):
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Vector({element}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _vector(kind.element, kind.lanes))


def _vector(element, lanes):
    floats = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
    return ir.VectorType(floats.get(element) or ir.IntType(element.bitwidth), lanes)


def _arranged(builder, a, b, lanes):
    """Return the given lanes of a followed by b."""
    return builder.shuffle_vector(a, b, ir.Constant(_vector(types.int32, len(lanes)), [INT32(lane) for lane in lanes]))


def _spread(builder, value, lanes):
    kind = ir.VectorType(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, INT32(0))
    return _arranged(builder, single, single, [0] * lanes)


def _fused(builder, a, b, c):
    kind = a.type
    name = f"llvm.fma.v{kind.count}{'f32' if kind.element == ir.FloatType() else 'f64'}"
    return builder.call(builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind] * 3)), [a, b, c])


@intrinsic(prefer_literal=True)
def load(typing_context, pointer, index, lanes):
    """Return the `lanes` values at `pointer[index]`, which need not be aligned."""
    kind = Vector(pointer.dtype, lanes.literal_value)

    def emit(context, builder, signature, arguments):
        place = builder.gep(arguments[0], arguments[1:2])
        return builder.load(builder.bitcast(place, _vector(kind.element, kind.lanes).as_pointer()), align=1)

    return kind(pointer, index, lanes), emit


@intrinsic(prefer_literal=True)
def load_pieces(typing_context, pointer, index, places, first, pieces, lanes):
    """Return `lanes` values as that many pieces, which begin at `pointer[index + places[first]]` and what follows."""
    count = pieces.literal_value
    kind = Vector(pointer.dtype, lanes.literal_value)

    def emit(context, builder, signature, arguments):
        row = builder.gep(arguments[0], arguments[1:2])
        piece = _vector(kind.element, kind.lanes // count).as_pointer()
        parts = []
        for k in range(count):
            offset = builder.load(builder.gep(arguments[2], [builder.add(arguments[3], arguments[3].type(k))]))
            parts.append(builder.load(builder.bitcast(builder.gep(row, [offset]), piece), align=1))
        return _joined(builder, parts)

    return kind(pointer, index, places, first, pieces, lanes), emit


@intrinsic(prefer_literal=True)
def load_halves(typing_context, first, second, index, lanes):
    """Return `lanes` values, of which half begin at `first[index]` and half at `second[index]`."""
    kind = Vector(first.dtype, lanes.literal_value)

    def emit(context, builder, signature, arguments):
        piece = _vector(kind.element, kind.lanes // 2).as_pointer()
        places = [builder.gep(pointer, arguments[2:3]) for pointer in arguments[:2]]
        return _joined(builder, [builder.load(builder.bitcast(place, piece), align=1) for place in places])

    return kind(first, second, index, lanes), emit


@intrinsic
def store_halves(typing_context, first, second, index, vector):
    """Write half of the lanes to `first[index]`, then the others to `second[index]`."""

    def emit(context, builder, signature, arguments):
        lanes = vector.lanes // 2
        for pointer, lane in zip(arguments[:2], (0, lanes), strict=True):
            half = _arranged(builder, arguments[3], arguments[3], range(lane, lane + lanes))
            _write(builder, half, builder.gep(pointer, arguments[2:3]))
        return context.get_dummy_value()

    return types.void(first, second, index, vector), emit


@intrinsic
def store(typing_context, pointer, index, vector):
    """Write all lanes to `pointer[index]`, which need not be aligned."""

    def emit(context, builder, signature, arguments):
        _write(builder, arguments[2], builder.gep(arguments[0], arguments[1:2]))
        return context.get_dummy_value()

    return types.void(pointer, index, vector), emit


def _write(builder, value, place, align=1):
    """Store a vector, from the first lane to the last, at a place that is so aligned; return the instructions.

    What is longer than a register LLVM stores in any order, and memory beyond the caches takes longer so: 0.8 to 0.65
    of the speed, see benchmarks/NOTES.md.
    """
    element, register = value.type.element, processor.register_bytes()
    bits = {ir.FloatType(): 32, ir.DoubleType(): 64}.get(element) or element.width
    lanes = min(value.type.count, register * 8 // bits)
    place = builder.bitcast(place, ir.VectorType(element, lanes).as_pointer())
    parts = [_arranged(builder, value, value, range(k, k + lanes)) for k in range(0, value.type.count, lanes)]
    return [
        builder.store(part, builder.gep(place, [INT32(k)]), align=min(align, register)) for k, part in enumerate(parts)
    ]


@intrinsic(prefer_literal=True)
def move_line(typing_context, dst, to, src, source, past):
    """Copy a vector from `src[source]` to `dst[to]`; if `past`, to a whole line of memory, past the caches.

    Such writes are seen by other threads in any order: `store_fence` must come before these are told of them.
    """

    def emit(context, builder, signature, arguments):
        dst, to, src, source, _ = arguments
        kind, is_past = _whole(signature.args[0].dtype), past.literal_value
        line = builder.load(_place(builder, kind, builder.gep(src, [source]), _constant(0)), align=1)
        place = _place(builder, kind, builder.gep(dst, [to]), _constant(0))
        for write in _write(builder, line, place, VECTOR if is_past else 1):
            if is_past:
                write.set_metadata("nontemporal", builder.module.add_metadata([INT32(1)]))
        return context.get_dummy_value()

    return types.void(dst, to, src, source, past), emit


@intrinsic
def store_fence(typing_context):
    """Have other threads see what was written before this, past the caches too, before what is written after it."""

    def emit(context, builder, signature, arguments):
        if _on_x86(builder):
            function = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse.sfence", fnty=function), [])
        else:
            builder.fence(_ORDER)
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def place_of(typing_context, pointer, index):
    """Return the address of `pointer[index]`."""

    def emit(context, builder, signature, arguments):
        return builder.ptrtoint(builder.gep(arguments[0], arguments[1:2]), ir.IntType(64))

    return types.int64(pointer, index), emit


@intrinsic
def prefetch(typing_context, pointer, index):
    """Ask for the cache line at `pointer[index]`, which need not be memory of ours, to be there soon."""

    def emit(context, builder, signature, arguments):
        place = builder.bitcast(builder.gep(arguments[0], arguments[1:2]), ir.IntType(8).as_pointer())
        function = ir.FunctionType(ir.VoidType(), [place.type, INT32, INT32, INT32])
        call = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=function)
        builder.call(call, [place, INT32(0), INT32(2), INT32(1)])  # to read, into the second level, as data
        return context.get_dummy_value()

    return types.void(pointer, index), emit


@intrinsic(prefer_literal=True)
def spread(typing_context, value, lanes):
    """Return a vector whose lanes all are `value`."""
    kind = Vector(value, lanes.literal_value)

    def emit(context, builder, signature, arguments):
        return _spread(builder, arguments[0], kind.lanes)

    return kind(value, lanes), emit


@intrinsic(prefer_literal=True)
def weave(typing_context, dst, to, src, source, pitch, rows):
    """Write a vector of each of `rows` rows, `pitch` values apart, in turns: the first value of each, then the next."""
    lanes, count = VECTOR * 8 // src.dtype.bitwidth, rows.literal_value
    order = [row * lanes + lane for lane in range(lanes) for row in range(count)]

    def emit(context, builder, signature, arguments):
        dst, to, src, source, pitch, _ = arguments
        _move_in_order(builder, order, dst, to, _constant(lanes), src, source, pitch, lanes)
        return context.get_dummy_value()

    return types.void(dst, to, src, source, pitch, rows), emit


@intrinsic(prefer_literal=True)
def unweave(typing_context, dst, to, pitch, src, source, rows):
    """Write what `weave` has woven to `rows` rows that are `pitch` values apart."""
    lanes, count = VECTOR * 8 // src.dtype.bitwidth, rows.literal_value
    order = [lane * count + row for row in range(count) for lane in range(lanes)]

    def emit(context, builder, signature, arguments):
        dst, to, pitch, src, source, _ = arguments
        _move_in_order(builder, order, dst, to, pitch, src, source, _constant(lanes), lanes)
        return context.get_dummy_value()

    return types.void(dst, to, pitch, src, source, rows), emit


def _move_in_order(builder, order, dst, to, to_pitch, src, source, source_pitch, lanes):
    """Write the values at the places `order` of some vectors, which follow one another, as as many vectors."""
    kind = ir.VectorType(ir.IntType(VECTOR * 8 // lanes), lanes)

    def at(pointer, index, pitch, k):
        place = builder.gep(pointer, [builder.add(index, builder.mul(pitch, _constant(k)))])
        return builder.bitcast(place, kind.as_pointer())

    count = len(order) // lanes
    pieces = [builder.load(at(src, source, source_pitch, k), align=1) for k in range(count)]
    for k in range(count):
        chosen = pieces[0]
        for p in range(1, count):
            # lanes of pieces before are where they belong already, but of the first one, and later ones do not matter
            wanted = [(lane, *divmod(place, lanes)) for lane, place in enumerate(order[k * lanes : (k + 1) * lanes])]
            mask = [lanes + of if q == p else (of if q == 0 and p == 1 else lane) for lane, q, of in wanted]
            chosen = _arranged(builder, chosen, pieces[p], mask)
        _write(builder, chosen, at(dst, to, to_pitch, k))


# AVX-512 VBMI chooses from 64 bytes, SSSE3 and Arm from 16, AVX2 from 16 for each half; all take the index of a byte in
# each lane
_SHUFFLES = {
    (64, "x86"): "llvm.x86.avx512.permvar.qi.512",
    (32, "x86"): "llvm.x86.avx2.pshuf.b",
    (16, "x86"): "llvm.x86.ssse3.pshuf.b.128",
    (16, "aarch64"): "llvm.aarch64.neon.tbl1.v16i8",
}


@intrinsic
def shuffle_bytes(typing_context, vector, index):
    """Return `vector[index[lane]]` in each lane; 64 or 16 bytes, or 32 of which each half chooses from its own."""

    def emit(context, builder, signature, arguments):
        machine = "x86" if _on_x86(builder) else "aarch64"
        kind = arguments[0].type
        function = ir.FunctionType(kind, [kind, kind])
        return builder.call(builder.module.declare_intrinsic(_SHUFFLES[kind.count, machine], fnty=function), arguments)

    return vector(vector, index), emit


@intrinsic
def shuffle_words(typing_context, vector, index):
    """Return, of 16 bytes, those at each byte of `index`, or 0 where that is NO_BYTE, as 16 int16; AVX2."""
    kind = Vector(types.int16, vector.lanes)

    def emit(context, builder, signature, arguments):
        both = _joined(builder, [arguments[0]] * 2)
        function = ir.FunctionType(both.type, [both.type] * 2)
        shuffle = builder.module.declare_intrinsic(_SHUFFLES[32, "x86"], fnty=function)
        return builder.bitcast(builder.call(shuffle, [both, arguments[1]]), _vector(kind.element, kind.lanes))

    return kind(vector, index), emit


@intrinsic
def shuffle_fours(typing_context, vector, index):
    """Return, of 32 bytes as 8 times 4 neighbours, the four that each int32 of `index` tells; AVX2."""

    def emit(context, builder, signature, arguments):
        fours, places = (
            builder.bitcast(argument, _vector(kind, 8))
            for argument, kind in zip(arguments, (types.float32, types.int32), strict=True)
        )
        return builder.bitcast(_chosen_of_8(builder, fours, places), arguments[0].type)

    return vector(vector, index), emit


def _chosen_of_8(builder, values, places):
    """Return, of 8 float32, the one at the lower three bits of each int32."""
    function = ir.FunctionType(values.type, [values.type, places.type])
    return builder.call(builder.module.declare_intrinsic("llvm.x86.avx2.permps", fnty=function), [values, places])


@intrinsic
def interleave(typing_context, a, b):
    """Return a and b interleaved within each 16 bytes, as processors do it; `packed` restores the order.

    First come the pairs (a[k], b[k]) of the lower 8 bytes of each 16, then those of the upper.
    """
    kind = Vector(a.element, 2 * a.lanes)
    chunk = 128 // a.element.bitwidth

    def emit(context, builder, signature, arguments):
        lower = [c + k for c in range(0, a.lanes, chunk) for k in range(chunk // 2)]
        pairs = [(k + half, k + half + a.lanes) for half in (0, chunk // 2) for k in lower]
        return _arranged(builder, arguments[0], arguments[1], [lane for pair in pairs for lane in pair])

    return kind(a, b), emit


@intrinsic
def bytes_apart(typing_context, vector):
    """Return the bytes of int16 as int16: first the lower ones, then the upper ones."""
    kind = Vector(vector.element, 2 * vector.lanes)

    def emit(context, builder, signature, arguments):
        mask, shift = (ir.Constant(arguments[0].type, [number] * vector.lanes) for number in (255, 8))
        return _joined(builder, [builder.and_(arguments[0], mask), builder.lshr(arguments[0], shift)])

    return kind(vector), emit


@intrinsic
def by_turns(typing_context, vector):
    """Return each 8 bytes with the first 4 and the last 4 by turns."""

    def emit(context, builder, signature, arguments):
        order = [c + k + half for c in range(0, vector.lanes, 8) for k in range(4) for half in (0, 4)]
        return _arranged(builder, arguments[0], arguments[0], order)

    return vector(vector), emit


# two vectors to one of half the width, clamped, within each 16 bytes; by bytes of a register and bits of a lane
_PACKS = {
    (64, 32): "llvm.x86.avx512.packssdw.512",
    (64, 16): "llvm.x86.avx512.packuswb.512",
    (32, 32): "llvm.x86.avx2.packssdw",
    (32, 16): "llvm.x86.avx2.packuswb",
    (16, 32): "llvm.x86.sse2.packssdw.128",
    (16, 16): "llvm.x86.sse2.packuswb.128",
}


@intrinsic(prefer_literal=True)
def packed(typing_context, vector, window):
    """Return int32 as int16, or int16 as uint8, clamped, in the order that the lanes had before `interleave`."""
    bits = vector.element.bitwidth
    kind = Vector(types.int16 if bits == 32 else types.uint8, vector.lanes)

    def emit(context, builder, signature, arguments):
        half, chunk = vector.lanes // 2, 128 // bits
        order = [k + part for c in range(0, half, chunk) for part in (0, half) for k in range(c, c + chunk)]
        if not _on_x86(builder):
            low, high = (-(1 << 15), (1 << 15) - 1) if bits == 32 else (0, 255)
            narrow = builder.trunc(_clamped(builder, arguments[0], low, high), _vector(kind.element, kind.lanes))
            return _arranged(builder, narrow, narrow, order)
        lanes = window.literal_value * 8 // bits
        function = ir.FunctionType(_vector(kind.element, 2 * lanes), [_vector(vector.element, lanes)] * 2)
        pack = builder.module.declare_intrinsic(_PACKS[window.literal_value, bits], fnty=function)
        starts = [(at, at + half) for at in range(0, half, lanes)]
        parts = [[_arranged(builder, arguments[0], arguments[0], range(k, k + lanes)) for k in pair] for pair in starts]
        return _joined(builder, [builder.call(pack, pair) for pair in parts])

    return kind(vector, window), emit


def _joined(builder, pieces):
    """Return vectors one after the other, as one; a power of two of them."""
    while len(pieces) > 1:
        pairs = zip(pieces[::2], pieces[1::2], strict=True)
        pieces = [_arranged(builder, a, b, range(2 * a.type.count)) for a, b in pairs]
    return pieces[0]


def _clamped(builder, value, low, high):
    for relation, limit in ((">", low), ("<", high)):
        bound = ir.Constant(value.type, [limit] * value.type.count)
        value = builder.select(builder.icmp_signed(relation, value, bound), value, bound)
    return value


def _on_x86(builder):
    return not builder.module.triple.startswith(("aarch64", "arm64"))


@intrinsic
def bits_as(typing_context, vector, element):
    """Return the bits of a vector as lanes of another type."""
    number = element.instance_type
    kind = Vector(number, vector.lanes * vector.element.bitwidth // number.bitwidth)

    def emit(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _vector(kind.element, kind.lanes))

    return kind(vector, element), emit


@intrinsic
def add_pairs(typing_context, a, b, total):
    """Return `a[2k] * b[2k] + a[2k + 1] * b[2k + 1] + total[k]`: LLVM makes it pmaddwd and an addition."""

    def emit(context, builder, signature, arguments):
        wide = _vector(types.int32, a.lanes)
        products = builder.mul(builder.sext(arguments[0], wide), builder.sext(arguments[1], wide))
        even, odd = (_arranged(builder, products, products, range(k, a.lanes, 2)) for k in (0, 1))
        return builder.add(builder.add(even, odd), arguments[2])

    return total(a, b, total), emit


# bytes times signed bytes, neighbouring products added and clamped to 16 bits; by bytes of a register
_BYTE_PRODUCTS = {
    64: "llvm.x86.avx512.pmaddubs.w.512",
    32: "llvm.x86.avx2.pmadd.ub.sw",
    16: "llvm.x86.ssse3.pmadd.ub.sw.128",
}


@intrinsic(prefer_literal=True)
def add_byte_pairs(typing_context, a, b, total, window):
    """Return `add_pairs` of bytes and signed bytes in int16, which must hold the sums."""

    def emit(context, builder, signature, arguments):
        if not _on_x86(builder):
            wide = _vector(types.int16, a.lanes)
            products = builder.mul(builder.zext(arguments[0], wide), builder.sext(arguments[1], wide))
            even, odd = (_arranged(builder, products, products, range(k, a.lanes, 2)) for k in (0, 1))
            return builder.add(builder.add(even, odd), arguments[2])
        lanes = window.literal_value
        kind = _vector(types.uint8, lanes)
        function = ir.FunctionType(_vector(types.int16, lanes // 2), [kind, kind])
        multiply = builder.module.declare_intrinsic(_BYTE_PRODUCTS[lanes], fnty=function)
        pieces = [
            builder.call(multiply, [_arranged(builder, each, each, range(k, k + lanes)) for each in arguments[:2]])
            for k in range(0, a.lanes, lanes)
        ]
        return builder.add(_joined(builder, pieces), arguments[2])

    return total(a, b, total, window), emit


@intrinsic(prefer_literal=True)
def first_lanes(typing_context, vector, lanes):
    """Return the first of the lanes."""
    kind = Vector(vector.element, lanes.literal_value)

    def emit(context, builder, signature, arguments):
        return _arranged(builder, arguments[0], arguments[0], range(kind.lanes))

    return kind(vector, lanes), emit


@intrinsic(prefer_literal=True)
def halves_added(typing_context, vector, parts):
    """Return the lower half of each of so many parts of a vector plus the upper."""
    kind = Vector(vector.element, vector.lanes // 2)
    half = kind.lanes // parts.literal_value

    def emit(context, builder, signature, arguments):
        lanes = [first + k for first in range(0, vector.lanes, 2 * half) for k in range(half)]
        lower, upper = (
            _arranged(builder, arguments[0], arguments[0], [lane + further for lane in lanes]) for further in (0, half)
        )
        return builder.add(lower, upper)

    return kind(vector, parts), emit


@intrinsic
def shifted(typing_context, totals, precision):
    """Return totals in units of 2**-precision rounded half up, as `rounded` does, and not yet clamped."""

    def emit(context, builder, signature, arguments):
        return _shifted(builder, *arguments)

    return totals(totals, precision), emit


def _shifted(builder, total, precision):
    kind, lanes = total.type.element, total.type.count
    shift = builder.trunc(precision, kind)
    half = builder.lshr(builder.shl(kind(1), shift), kind(1))
    return builder.ashr(builder.add(total, _spread(builder, half, lanes)), _spread(builder, shift, lanes))


# int16 times int16, the upper half of twice the product, rounded half up; by bytes of a register
_ROUNDED_PRODUCTS = {
    64: "llvm.x86.avx512.pmul.hr.sw.512",
    32: "llvm.x86.avx2.pmul.hr.sw",
    16: "llvm.x86.ssse3.pmul.hr.sw.128",
}


@intrinsic(prefer_literal=True)
def shifted_words(typing_context, totals, precision, window):
    """Return `shifted` of int16, for a precision of at least 1, by one instruction where there is one."""

    def emit(context, builder, signature, arguments):
        total, size = arguments[0], window.literal_value
        kind, lanes = total.type.element, size // 2
        if not _on_x86(builder) or totals.lanes < lanes:
            return _shifted(builder, total, arguments[1])
        factor = _spread(builder, builder.shl(kind(1), builder.sub(kind(15), builder.trunc(arguments[1], kind))), lanes)
        function = ir.FunctionType(factor.type, [factor.type] * 2)
        multiply = builder.module.declare_intrinsic(_ROUNDED_PRODUCTS[size], fnty=function)
        starts = range(0, totals.lanes, lanes)
        pieces = [_arranged(builder, total, total, range(k, k + lanes)) for k in starts]
        return _joined(builder, [builder.call(multiply, [piece, factor]) for piece in pieces])

    return totals(totals, precision, window), emit


@intrinsic(prefer_literal=True)
def paired(typing_context, a, b, window):
    """Return two vectors of int16 as bytes, clamped, by turns: a[0], b[0], a[1], b[1], ..."""
    kind = Vector(types.uint8, 2 * a.lanes)

    def emit(context, builder, signature, arguments):
        if _on_x86(builder):
            function = ir.FunctionType(_vector(types.uint8, kind.lanes), [arguments[0].type] * 2)
            pack = builder.module.declare_intrinsic(_PACKS[window.literal_value, 16], fnty=function)
            both = builder.call(pack, arguments[:2])  # 8 of a and 8 of b in each 16
            order = [c + k + half for c in range(0, kind.lanes, 16) for k in range(8) for half in (0, 8)]
            return _arranged(builder, both, both, order)
        narrow = [
            builder.trunc(_clamped(builder, each, 0, 255), _vector(types.uint8, a.lanes)) for each in arguments[:2]
        ]
        return _arranged(builder, narrow[0], narrow[1], [k + half for k in range(a.lanes) for half in (0, a.lanes)])

    return kind(a, b, window), emit


@intrinsic
def bytes_of(typing_context, levels):
    """Return integers clamped to a byte, in their order."""
    kind = Vector(types.uint8, levels.lanes)

    def emit(context, builder, signature, arguments):
        return builder.trunc(_clamped(builder, arguments[0], 0, 255), _vector(kind.element, kind.lanes))

    return kind(levels), emit


@intrinsic
def add_products(typing_context, a, b, total):
    """Return `a * b + total` with one rounding, in each lane."""

    def emit(context, builder, signature, arguments):
        return _fused(builder, *arguments)

    return total(a, b, total), emit


@intrinsic
def choose_floats(typing_context, first, second, index):
    """Return, of 16 and 16 float32 (AVX-512) or of 8 and 8 (AVX2), the one at each byte of `index`."""

    def emit(context, builder, signature, arguments):
        kind, places = arguments[0].type, _vector(types.int32, first.lanes)
        wide = builder.zext(arguments[2], places)
        if first.lanes == 16:
            function = ir.FunctionType(kind, [kind, places, kind])
            choose = builder.module.declare_intrinsic("llvm.x86.avx512.vpermi2var.ps.512", fnty=function)
            return builder.call(choose, [arguments[0], wide, arguments[1]])
        of_first, of_second = (_chosen_of_8(builder, each, wide) for each in arguments[:2])
        bit = builder.and_(wide, ir.Constant(places, [first.lanes] * first.lanes))  # half the work of a comparison
        is_first = builder.icmp_signed("==", bit, ir.Constant(places, [0] * first.lanes))
        return builder.select(is_first, of_first, of_second)

    return first(first, second, index), emit


@intrinsic
def choose_near(typing_context, values, index):
    """Return, of 8 float32, the one at the lower three bits of each byte of `index`; AVX2."""

    def emit(context, builder, signature, arguments):
        return _chosen_of_8(builder, arguments[0], builder.zext(arguments[1], _vector(types.int32, values.lanes)))

    return values(values, index), emit


@intrinsic
def where_used(typing_context, index, new, old):
    """Return `new` in the lanes whose index is not UNUSED, `old` in the others."""

    def emit(context, builder, signature, arguments):
        # asked by the sign, which UNUSED has: LLVM would make "not equal" an "equal" that masks the wrong way round
        sign = ir.Constant(arguments[0].type, [0] * index.lanes)
        return builder.select(builder.icmp_signed(">=", arguments[0], sign), arguments[1], arguments[2])

    return new(index, new, old), emit


# Blocks of running sums, some vectors for each of some channels. Numba has no arrays of vectors: a block is memory on
# the stack with literal indices, which LLVM keeps in registers.


def _whole(element):
    return _vector(element, VECTOR * 8 // element.bitwidth)


def _place(builder, kind, pointer, index):
    return builder.gep(builder.bitcast(pointer, kind.as_pointer()), [index])


def _constant(index):
    return ir.Constant(ir.IntType(64), index)


def _sums_and_rows(builder, kind, sums, rows, pitch, channels, vectors):
    """Yield the place of each vector of a block, and its place in rows that are `pitch` values apart, one a channel."""
    for c in range(channels.literal_value):
        row = builder.gep(rows, [builder.mul(pitch, _constant(c))])
        for v in range(vectors.literal_value):
            at = _constant(c * vectors.literal_value + v)
            yield _place(builder, kind, sums, at), _place(builder, kind, row, _constant(v))


@intrinsic(prefer_literal=True)
def block(typing_context, source, channels, vectors):
    """Return a block of running sums, which LLVM keeps in registers: `vectors` vectors for each channel."""

    def emit(context, builder, signature, arguments):
        size = channels.literal_value * vectors.literal_value
        with builder.goto_entry_block():
            sums = builder.alloca(ir.ArrayType(_whole(source.dtype), size))
        return builder.bitcast(sums, context.get_data_type(source.dtype).as_pointer())

    return source(source, channels, vectors), emit


@intrinsic(prefer_literal=True)
def begin(typing_context, sums, values, channels, vectors):
    """Set the sums of channel c to `values[c]`."""

    def emit(context, builder, signature, arguments):
        kind = _whole(sums.dtype)
        for c in range(channels.literal_value):
            value = builder.load(builder.gep(arguments[1], [_constant(c)]))
            for v in range(vectors.literal_value):
                at = _constant(c * vectors.literal_value + v)
                builder.store(_spread(builder, value, kind.count), _place(builder, kind, arguments[0], at))
        return context.get_dummy_value()

    return types.void(sums, values, channels, vectors), emit


@intrinsic(prefer_literal=True)
def accumulate(typing_context, sums, samples, weights, pitch, channels, vectors):
    """Add `weights[c * pitch] * samples[...]` to the sums of channel c, with one rounding."""

    def emit(context, builder, signature, arguments):
        kind, align = _whole(sums.dtype), sums.dtype.bitwidth // 8

        def sample(v):
            return builder.load(_place(builder, kind, arguments[1], _constant(v)), align=align)

        def weight(c):
            index = builder.mul(arguments[3], _constant(c))
            if sums.dtype.bitwidth == 64:
                index = _hidden(builder, index)  # or LLVM loads all weights at once, for which there are no registers
            return _spread(builder, builder.load(builder.gep(arguments[2], [index])), kind.count)

        # registers hold the sums and the fewer of both, and of the more numerous one at a time
        numbers = channels.literal_value, vectors.literal_value
        # in registers of 32 bytes a vector of samples takes two
        few, many = (weight, sample) if numbers[0] < 2 * numbers[1] else (sample, weight)
        held = [few(k) for k in range(numbers[few is sample])]
        for j in range(numbers[few is weight]):
            factor = many(j)
            for k, other in enumerate(held):
                c, v = (k, j) if few is weight else (j, k)
                place = _place(builder, kind, arguments[0], _constant(c * numbers[1] + v))
                if isinstance(sums.dtype, types.Float):
                    total = _fused(builder, other, factor, builder.load(place))
                else:
                    total = builder.add(builder.mul(other, factor), builder.load(place))
                builder.store(total, place)
        return context.get_dummy_value()

    return types.void(sums, samples, weights, pitch, channels, vectors), emit


@intrinsic(prefer_literal=True)
def resume(typing_context, sums, at, pitch, channels, vectors):
    """Add `at[c * pitch ...]`, which an earlier `finish` wrote, to the sums of channel c."""

    def emit(context, builder, signature, arguments):
        kind, align = _whole(sums.dtype), sums.dtype.bitwidth // 8
        add = builder.fadd if isinstance(sums.dtype, types.Float) else builder.add
        sums_block, rows, distance = arguments[:3]
        for place, written in _sums_and_rows(builder, kind, sums_block, rows, distance, channels, vectors):
            builder.store(add(builder.load(written, align=align), builder.load(place)), place)
        return context.get_dummy_value()

    return types.void(sums, at, pitch, channels, vectors), emit


@intrinsic(prefer_literal=True)
def finish(typing_context, sums, to, pitch, channels, vectors):
    """Write the sums of channel c to `to[c * pitch ...]`."""

    def emit(context, builder, signature, arguments):
        kind, align = _whole(sums.dtype), sums.dtype.bitwidth // 8
        sums_block, rows, distance = arguments[:3]
        for place, written in _sums_and_rows(builder, kind, sums_block, rows, distance, channels, vectors):
            _write(builder, builder.load(place), written, align)
        return context.get_dummy_value()

    return types.void(sums, to, pitch, channels, vectors), emit


@intrinsic
def after(typing_context, pointer, index):
    """Return `pointer + index`."""

    def emit(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), emit


@intrinsic
def hidden(typing_context, number):
    """Return an int64 of which LLVM knows nothing, or it would keep a pointer for each row that is indexed with it."""

    def emit(context, builder, signature, arguments):
        return _hidden(builder, arguments[0])

    return types.int64(types.int64), emit


def _hidden(builder, number):
    kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
    return builder.asm(kind, "", "=r,0", [number], False)


@intrinsic
def lanes(typing_context, pointer):
    """Return how many values of this pointer's type a vector holds."""
    count = VECTOR * 8 // pointer.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        return _constant(count)

    return types.int64(pointer), emit


# Numbers that threads share, for `bands`: every access is one step in an order that all threads agree on.

_ORDER = "seq_cst"


@intrinsic
def seen(typing_context, pointer, index):
    """Return `pointer[index]`, an int64 that other threads write."""

    def emit(context, builder, signature, arguments):
        return builder.load_atomic(builder.gep(arguments[0], [arguments[1]]), _ORDER, 8)

    return types.int64(pointer, types.int64), emit


@intrinsic
def show(typing_context, pointer, index, value):
    """Write `pointer[index]`, an int64 that other threads read."""

    def emit(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], builder.gep(arguments[0], [arguments[1]]), _ORDER, 8)
        return context.get_dummy_value()

    return types.void(pointer, types.int64, types.int64), emit


@intrinsic
def add(typing_context, pointer, index, value):
    """Add to `pointer[index]`, an int64, and return what it was before."""

    def emit(context, builder, signature, arguments):
        return builder.atomic_rmw("add", builder.gep(arguments[0], [arguments[1]]), arguments[2], _ORDER)

    return types.int64(pointer, types.int64, types.int64), emit


@intrinsic
def change(typing_context, pointer, index, old, new):
    """Make `pointer[index]`, an int64, `new` if it is `old`, and return whether it was."""

    def emit(context, builder, signature, arguments):
        place = builder.gep(arguments[0], [arguments[1]])
        return builder.extract_value(builder.cmpxchg(place, *arguments[2:], _ORDER, _ORDER), 1)

    return types.boolean(pointer, *[types.int64] * 3), emit


@intrinsic
def touch(typing_context, address):
    """Have the system give memory to the int64 at an address, which stays what it is, whoever else writes there.

    On x86 alone: elsewhere a compare-exchange may read first, for which Linux gives memory that is taken back soon.
    """

    def emit(context, builder, signature, arguments):
        if _on_x86(builder):
            number = ir.IntType(64)
            place = builder.inttoptr(arguments[0], number.as_pointer())
            builder.cmpxchg(place, number(0), number(0), _ORDER, _ORDER)
        return context.get_dummy_value()

    return types.void(types.int64), emit


@intrinsic
def pause(typing_context):
    """Tell the processor that this is a loop that waits for another thread."""

    def emit(context, builder, signature, arguments):
        name, values = ("llvm.x86.sse2.pause", []) if _on_x86(builder) else ("llvm.aarch64.hint", [INT32(1)])
        function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.module.declare_intrinsic(name, fnty=function), values)
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def numbers(typing_context, address):
    """Return the int64 at an address as a pointer."""

    def emit(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), emit


@intrinsic
def call(typing_context, function, first, second):
    """Call the C function at an address with two integers or addresses, of which it may take fewer."""

    def emit(context, builder, signature, arguments):
        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number, number])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), emit
