"""torch's own resampling results, without torch: on arrays, on PIL pictures, on folders, from the command line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resample import functional, transforms
    from resample.files.batch import resize_folder
    from resample.image import resize
    from resample.picture_operators import conv_transpose, from_phases, interpolating_weight, phases
    from resample.threads import get_num_threads, set_num_threads

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
    "resize_folder",
    "set_num_threads",
    "transforms",
]

# imported when they are first used: the command's help needs none of them, nor NumPy
_MODULES = {
    "conv_transpose": "picture_operators",
    "from_phases": "picture_operators",
    "get_num_threads": "threads",
    "interpolating_weight": "picture_operators",
    "phases": "picture_operators",
    "resize": "image",
    "resize_folder": "files.batch",
    "set_num_threads": "threads",
}


def __getattr__(name: str) -> Any:
    if name in ("functional", "transforms"):
        return import_module(f"resample.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'resample' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"resample.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
