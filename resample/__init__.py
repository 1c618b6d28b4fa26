"""torch's own resampling results, without torch: on arrays, on PIL pictures, from the command line."""

from typing import TYPE_CHECKING, Any

from resample import functional
from resample.image import resize
from resample.picture_operators import conv_transpose, from_phases, interpolating_weight, phases
from resample.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from resample import transforms

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "conv_transpose",
    "from_phases",
    "functional",
    "get_num_threads",
    "interpolating_weight",
    "phases",
    "resize",
    "set_num_threads",
    "transforms",
]


def __getattr__(name: str) -> Any:
    # making dataclasses takes milliseconds, which only those who name the module spend
    if name == "transforms":
        import importlib

        return importlib.import_module("resample.transforms")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
