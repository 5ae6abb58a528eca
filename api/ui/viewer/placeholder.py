"""What is shown where a page has no image: a sheet with a few lines."""

from starlette.responses import Response

_SHEET = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 210 297" width="210" height="297">'
    '<rect width="210" height="297" fill="#fff"/><g stroke="#c9ced6" stroke-width="6" stroke-linecap="round">'
    '<path d="M32 52h88M32 86h146M32 112h138M32 138h146M32 164h120"/></g></svg>'
)


def no_image(status: int) -> Response:
    """Browsers draw it, whatever the status says of the page's own image."""
    return Response(_SHEET, status, {"Cache-Control": "private, no-cache"}, "image/svg+xml")
