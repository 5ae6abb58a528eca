"""Batch shapes that a CUDA device is asked for again and again.

MLX on CUDA plans its kernels anew for each shape it has not seen: on an H200, 61 ms for a batch of 64 texts instead of
20 ms from the second time on. So batches come in a few sizes. Metal and CPU kernels do not depend on the shape.
"""

COUNTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def rounded_length(tokens: int, most: int | None = None) -> int:
    """The padded length for a longest item: up to 7 tokens more below 128, up to an eighth more above.

    most: what the model reads; it is not rounded up beyond that.
    """
    step = 8
    while step * 16 < tokens:
        step *= 2
    rounded = -(-tokens // step) * step
    return rounded if most is None else min(rounded, max(tokens, most))


def plans_per_shape() -> bool:
    """Whether MLX's default device is a CUDA one. Imports MLX."""
    import mlx.core as mx

    return mx.default_device().type == mx.DeviceType.gpu and not mx.metal.is_available()
