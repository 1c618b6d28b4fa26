"""The CUDA backend: kernel source, its compiler, the driver, and which kernel serves a table."""
