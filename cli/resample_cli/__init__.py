"""The command `resample`: options, names, messages and files. The arithmetic is in the package `resample`."""
