"""torch's own resampling results, without torch: on arrays, on PIL pictures, from the command line."""

from resample import functional
from resample.image import resize
from resample.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = ["__version__", "functional", "get_num_threads", "resize", "set_num_threads"]
