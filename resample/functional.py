"""The face that mirrors torch.nn.functional: `import resample.functional as F`."""

from resample.interpolate import interpolate

__all__ = ["interpolate"]
