"""How weights are quantised, by the words of `--quantize`. Imports no MLX."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Mode(NamedTuple):
    """As mlx.core.quantize takes it."""

    name: str
    bits: int
    group_size: int
    overhead_bits: float
    """Of scales, for each weight."""

    @property
    def config(self) -> dict[str, int | str]:
        """What config.json says of it, in mlx-lm's and mlx-vlm's words."""
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.name}


MODES = {
    "4": Mode("affine", 4, 64, 0.5),
    "6": Mode("affine", 6, 64, 0.5),
    "8": Mode("affine", 8, 64, 0.5),
    "mxfp4": Mode("mxfp4", 4, 32, 0.25),
    "nvfp4": Mode("nvfp4", 4, 16, 0.5),
}

SMALL_GROUP = 32


def mode_for(how: str, config: Mapping[str, Any]) -> Mode:
    """With smaller groups for a model whose layers are no multiple of the usual ones. config: config.json."""
    mode = MODES[how]
    text: Mapping[str, Any] = config.get("text_config") or {}
    width = config.get("hidden_size") or text.get("hidden_size") or 0
    if mode.name == "affine" and width % mode.group_size and width % SMALL_GROUP == 0:
        return mode._replace(group_size=SMALL_GROUP, overhead_bits=2 * mode.overhead_bits)
    return mode


PUBLISHED_BITS = 16
"""Of most weights. Those of more take more disk before, and no more after."""
LEFT_FULL = 0.15
"""Share of the weights that an estimate takes to stay as they are: vision towers, norms, small layers."""


def converted_bytes(weights_bytes: int, how: str) -> int:
    """About how much the quantised weights take on the disk, rather too much than too little."""
    mode = MODES[how]
    share = (mode.bits + mode.overhead_bits) / PUBLISHED_BITS
    return int(weights_bytes * (share * (1 - LEFT_FULL) + LEFT_FULL))
