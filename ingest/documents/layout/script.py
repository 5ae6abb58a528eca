"""What of a script matters to lines and words."""

import re
import unicodedata

SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese, Japanese
    "\uff00-\uffef\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""Ranges for a regular expression: characters of scripts that are written without spaces, with their punctuation."""
_SPACELESS = re.compile(f"[{SPACELESS}]")


def is_spaceless(character: str) -> bool:
    """Whether its script has no spaces between words."""
    return character > "\u0dff" and _SPACELESS.match(character) is not None


def is_rtl(text: str) -> bool:
    """Whether its first letter is of a script that is written from right to left."""
    for character in text:
        if character < "\u0590":
            if character.isalpha():
                return False
        elif (kind := unicodedata.bidirectional(character)) in ("R", "AL"):
            return True
        elif kind == "L":
            return False
    return False
