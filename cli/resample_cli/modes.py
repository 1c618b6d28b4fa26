"""The modes of the command, and the options that go with them."""

from __future__ import annotations

MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos")
ALIGNING_MODES = ("bilinear", "bicubic")
ANTIALIASING_MODES = ("bilinear", "bicubic", "lanczos")

CONV_TRANSPOSE, PIXEL_UNSHUFFLE, PIXEL_SHUFFLE = LAYER_MODES = ("conv-transpose", "pixel-unshuffle", "pixel-shuffle")
SHUFFLES = (PIXEL_UNSHUFFLE, PIXEL_SHUFFLE)
KERNELS = ("nearest", "bilinear", "bicubic")
MAX_KERNEL_STRIDE = 256

_SEVERAL = (
    "--recursive",
    "--jobs",
    "--dry-run",
    "--fail-fast",
    "--report",
    "--resume",
    "--json",
    "--in-place",
    "--scheduler",
)

# Options that go only with some modes.
MODES_OF = {
    **dict.fromkeys(("--scale", "--size", "--width", "--height", "--max-side", "--min-side", "--alpha"), MODES),
    **dict.fromkeys(("--fit", "--only", "--linear"), MODES),
    "--align-corners": ALIGNING_MODES,
    "--antialias": ANTIALIASING_MODES,
    "--no-antialias": MODES,
    **dict.fromkeys(("--kernel", "--weights", "--stride", "--padding", "--output-padding"), (CONV_TRANSPOSE,)),
    **dict.fromkeys(("--dilation", "--groups"), (CONV_TRANSPOSE,)),
    "--factor": (PIXEL_UNSHUFFLE, PIXEL_SHUFFLE),
    "--device": (*MODES, CONV_TRANSPOSE),
    **dict.fromkeys(_SEVERAL, (*MODES, CONV_TRANSPOSE)),
}

# Options that --compare sets by itself, one way after another, or that are for several outputs.
NOT_COMPARED = (
    *("--output", "--mode", "--align-corners", "--antialias", "--no-antialias", "--quality"),
    *("--fit", "--format", "--background", "--in-place", *_SEVERAL),
)
