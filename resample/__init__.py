"""torch's own resampling results, without torch: on arrays, on PIL pictures, from the command line."""

from resample import functional
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
    "set_num_threads",
]
