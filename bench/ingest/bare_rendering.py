"""PDFium alone: one process that draws all pages of the PDFs named, at the size that pages are read at."""

import json
import sys
import time
from pathlib import Path

from ingest.documents.canvas import Canvas
from ingest.documents.fitting import room
from ingest.documents.pdf.drawing import draw
from ingest.documents.pdf.opening import open_pdf
from ingest.documents.source import open_source
from tests.support.documents.reading import COLQWEN


def main() -> None:
    canvas = Canvas(memoryview(bytearray(room(COLQWEN))))
    pages = 0
    started, cpu = time.perf_counter(), time.process_time()
    for path in sys.argv[1:]:
        source = open_source(Path(path))
        pdf = open_pdf(source, ())
        for index in range(len(pdf)):
            page = pdf[index]
            draw(page, COLQWEN, canvas)
            page.close()
            pages += 1
        pdf.close()
    wall = time.perf_counter() - started
    print(json.dumps({"pages": pages, "wall_s": wall, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
