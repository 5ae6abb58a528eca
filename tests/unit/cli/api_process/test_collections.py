"""An API process starts without what only searches need."""

import subprocess
import sys

PROBE = """
import sys
import cli.api_process.__main__
print(*sorted({"numpy", "qdrant_client", "grpc", "PIL", "pypdfium2", "ingest.search"} & set(sys.modules)))
"""


def test_nothing_of_searches_is_imported_before_somebody_searches():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
