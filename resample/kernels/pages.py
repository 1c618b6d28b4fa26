"""In what order the system clears new memory."""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.simd import place_of, touch
from resample.kernels.sizes import HUGE_PAGE


@register_jitable
def clear_onward(dst, to, length, end):
    """Have the huge pages that begin in `dst[to : to + length]`, which is about to be written, cleared from there on.

    Linux clears a huge page of new memory when it is first written to, in an order that ends at the very place. Where
    that is the page's beginning, it clears it from the end backwards, at half the speed. So the page's last word is
    touched first; of the last page the last word before `dst[end]`, which must be ours, but may be another thread's to
    write: `touch` changes nothing.
    """
    first, behind, limit = place_of(dst, to), place_of(dst, to + length), place_of(dst, end)
    page = (first + HUGE_PAGE - 1) & -HUGE_PAGE
    while page < behind:
        word = (min(page + HUGE_PAGE, limit) - 8) & -8
        if word > page:
            touch(word)
        page += HUGE_PAGE
