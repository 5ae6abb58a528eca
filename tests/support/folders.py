"""Where things lie in a checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "checkpoints" / "golden"
"""What reference implementations made; `tests/checkpoints/reference*.py` say how."""
TINY_CHAT = ROOT / "examples" / "tiny_chat" / "model"
