"""Names of files and folders that are nobody's documents."""

import re

_FOLDERS = frozenset({"@eadir", "#recycle", "#snapshot", "__macosx", "lost+found", "$recycle.bin"})
"""What storage systems and archives leave in every folder. @eaDir holds a thumbnail for every image."""

_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})

_TEMPORARY = re.compile(
    r"^[~#]|~$|#$"  # of editors and office programs: ~$report.docx, report.txt~
    r"|\.(tmp|temp|part|partial|crdownload|download|filepart|swp|swo|lock)$"
    r"|\.sb-[0-9a-f]+-[0-9A-Za-z]+$",  # of macOS's atomic saving
    re.IGNORECASE,
)


def is_ignored_folder(name: str) -> bool:
    """Hidden, or made by a program for itself."""
    return name.startswith(".") or name.casefold() in _FOLDERS


def is_ignored_file(name: str) -> bool:
    """Hidden, temporary, or made by a program for itself."""
    return name.startswith(".") or name.casefold() in _FILES or _TEMPORARY.search(name) is not None
