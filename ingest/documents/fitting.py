"""How large a page's picture is."""

import math

from ingest.documents.wants import RenderBudget

MAX_DPI = 300
"""Of what is drawn: print needs no more to be read."""

POINTS_PER_INCH = 72


def drawn_size(width_pt: float, height_pt: float, budget: RenderBudget) -> tuple[int, int]:
    """Of a page that can be drawn at any size, in pixels: whole multiples (`multiple_of`), the proportions kept as far
    as they can be. It is the size that vision models scale a picture to (transformers' smart_resize), so they take the
    picture as it is.
    """
    dpi = MAX_DPI / POINTS_PER_INCH
    width, height = width_pt * dpi, height_pt * dpi
    step = budget.multiple_of
    across, down = (max(step, round(side / step) * step) for side in (width, height))
    if across * down <= budget.max_pixels and max(across, down) <= (budget.max_edge or max(across, down)):
        return across, down
    return _shrunk(width, height, budget)


def scaled_size(width: int, height: int, budget: RenderBudget) -> tuple[int, int]:
    """Of an image: as it is where it is small enough."""
    if width * height <= budget.max_pixels and max(width, height) <= (budget.max_edge or max(width, height)):
        return width, height
    return _shrunk(width, height, budget)


def room(budget: RenderBudget) -> int:
    """Bytes that the largest picture takes."""
    return 3 * max(budget.max_pixels, budget.multiple_of**2)


def _shrunk(width: float, height: float, budget: RenderBudget) -> tuple[int, int]:
    shrink = math.sqrt(width * height / budget.max_pixels)
    if budget.max_edge is not None:
        shrink = max(shrink, max(width, height) / budget.max_edge)
    step = budget.multiple_of
    # A little more than nothing is added: 2048 / (2048 / 512) must not come out as 511.
    across, down = (max(step, math.floor(side / shrink / step + 1e-9) * step) for side in (width, height))
    most = max(budget.max_pixels, step * step)
    if across * down > most:  # a strip narrower than one step
        longest = max(step, math.floor(most / min(across, down) / step) * step)
        across, down = min(across, longest), min(down, longest)
    return across, down
