"""Addresses of pages and of what belongs to them."""

from urllib.parse import quote


def page_url(collection: str, document: str, page: int) -> str:
    """Of the viewer, and what all that belongs to the page begins with."""
    return f"/ui/page/{quote(collection, safe='')}/{quote(document, safe='')}/{page}"


def file_url(collection: str, document: str, page: int = 1) -> str:
    """Of the document itself; PDF readers open it at the page."""
    path = f"/ui/file/{quote(collection, safe='')}/{quote(document, safe='')}"
    return f"{path}#page={page}" if page > 1 else path


def page_name(page: int, label: str) -> str:
    """Page 12, or Page iv (12)."""
    return f"Page {page}" if label in ("", str(page)) else f"Page {label} ({page})"
