"""On Linux CPUs, MLX's wheel links a reference BLAS that is about 14 times slower than an OpenBLAS put before it."""
