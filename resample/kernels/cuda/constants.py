"""What kernels, their compiler and their callers must agree on."""

# rows that one thread of `sums.contract_columns` resamples with the weights of its column
ROWS = 4

# planes of which one thread of `sums.contract_down_*` takes a column each
IMAGES = 4

# output rows of a column that may wait for four source rows of bytes: bilinear, bicubic and lanczos antialiased
LIVE_OF_FOUR = (4, 6, 8, 10)

# the oldest card that kernels are compiled for, and the first version of PTX that packs bytes: newer ones take them too
LEAST_CAPABILITY = (7, 5)
TARGET = ("sm_75", "+ptx65")

# the name of each kernel in its code
SYMBOL = "kernel"
