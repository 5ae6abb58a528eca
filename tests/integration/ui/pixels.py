"""What a person sees at a place of the screen."""

from typing import NamedTuple

import numpy as np

from jobs.search.documents import PageWord
from tests.support.browser.browser import Browser


class Sheet(NamedTuple):
    """The page in the viewer, as pixels of the screen: (height, width, 3)."""

    pixels: np.ndarray

    def part(self, word: PageWord) -> np.ndarray:
        """What is in a word's box: (height, width, 3)."""
        return self.within((word.left, word.top, word.right, word.bottom))

    def within(self, box: tuple[float, float, float, float]) -> np.ndarray:
        """What is between left, top, right and bottom, shares of the page: (height, width, 3)."""
        left, top, right, bottom = box
        height, width, _ = self.pixels.shape
        return self.pixels[
            int(top * height) : int(bottom * height) + 1, int(left * width) : int(right * width) + 1
        ]


def sheet_of(browser: Browser) -> Sheet:
    """All of it must be in sight."""
    box = browser.box("#sheet")
    left, top = round(box["x"]), round(box["y"])
    right, bottom = round(box["x"] + box["width"]), round(box["y"] + box["height"])
    screen = np.asarray(browser.screenshot()).astype(int)
    assert 0 <= left < right <= screen.shape[1] and 0 <= top < bottom <= screen.shape[0], box
    return Sheet(screen[top:bottom, left:right])


def yellowness(pixels: np.ndarray) -> np.ndarray:
    """How much of blue is missing beside red and green; of a grey 0."""
    return np.minimum(pixels[..., 0], pixels[..., 1]) - pixels[..., 2]


def redness(pixels: np.ndarray) -> np.ndarray:
    """How much red there is beyond green; of a grey and of yellow about 0."""
    return pixels[..., 0] - pixels[..., 1]


def darkness(pixels: np.ndarray) -> np.ndarray:
    """0 of white, 255 of black: by the strongest colour, so that ink under yellow counts."""
    return 255 - pixels.max(axis=-1)
