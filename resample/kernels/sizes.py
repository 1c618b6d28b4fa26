"""Numbers that kernels and their callers must agree on: a mismatch would write out of bounds."""

# bytes of the vectors that kernels are written in; LLVM splits them where registers are shorter
VECTOR = 64

# samples of fewer values than this are summed value by value, in a buffer of so many
SHORT_INNER = 16

# values that fast kernels take of a row at a time, the least that a row may have
BLOCK = 64

# bytes of the larger pages that Linux gives out, and NumPy asks for, where a result is large
HUGE_PAGE = 1 << 21

# bytes of a result that are made before they are written past the caches: few, so that to make them and to write them
# overlap
PIECE = 1 << 10

# bytes of the staging buffer that they are made in: a piece, up to four vectors that would be too little for the next
# one, and what belongs to a line before and behind
STAGING = PIECE + 6 * VECTOR

# terms of a transposed convolution that are summed at most before they are added to the rest: that halves the error of
# long sums, and their samples stay in the first level
RUN = 128

# bytes of a processor's register -> channels in a block of sums -> vectors a channel, so that its registers, 32 of
# AVX-512 and of Arm, 16 of AVX2, hold what `simd.accumulate` keeps in them (16 of SSE do not: nobody has looked)
_FEW = {1: 4, 2: 3, 3: 2, 6: 1}
BLOCKS = {64: {1: 8, 2: 8, 3: 8, 4: 6, 8: 3}, 32: _FEW, 16: _FEW}

# groups of outputs that lie side by side in a register of AVX2, of which shuffles make two of 16 bytes:
# `simd.load_halves` and `store_halves` know that they are two
ABREAST = 2

# the index by which shuffles of 16 bytes make a byte of 0
NO_BYTE = 128

# the index of a lane whose row of the table has no such tap; `simd.where_used` knows it by its highest bit
UNUSED = 255


def whole_vectors(count: int) -> int:
    """Return the bytes of the vectors that `count` bytes fill."""
    return -(-count // VECTOR) * VECTOR
