"""Where a page's picture is drawn."""


class Canvas:
    """Memory for one picture in RGB, 3 bytes a pixel, row by row."""

    def __init__(self, memory: memoryview) -> None:
        """memory: writable, as much as the largest picture that is asked for takes."""
        self._memory = memory
        self.size: tuple[int, int] | None = None
        """Width and height of what was drawn."""

    def area(self, width: int, height: int) -> memoryview:
        """As many bytes as such a picture has, with anything in them; the picture is what they hold in the end."""
        self.size = width, height
        area = self._memory[: width * height * 3]
        assert len(area) == width * height * 3
        return area

    @property
    def pixels(self) -> memoryview:
        """Of what was drawn."""
        width, height = self.size or (0, 0)
        return self._memory[: width * height * 3]
