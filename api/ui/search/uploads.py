"""Reading the image that a form uploads."""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from starlette.datastructures import QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api.requests.body import BodiesInFlight, read_body
from api.ui.search.address import SearchAddress, read_address
from jobs.errors import InvalidInput

_FIELDS = 100


class Upload(NamedTuple):
    """What the form holds."""

    address: SearchAddress
    """Of the search that the image is for."""
    image: bytes


async def read_upload(request: Request, limit_bytes: int, bodies: BodiesInFlight) -> Upload:
    """Raises InvalidInput for what is no such form, BodyTooLarge, Overloaded, ClientDisconnect."""
    body = await read_body(request, limit_bytes, bodies)

    async def stream() -> AsyncGenerator[bytes]:
        yield body

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidInput("An image comes as a form: multipart/form-data.", param="file")
    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=_FIELDS).parse()
    except MultiPartException as error:
        raise InvalidInput(f"The form cannot be read: {error.message}", param="file") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput("Choose an image first.", param="file")
        data = await file.read()
    finally:
        await form.close()
    if not data:
        raise InvalidInput("Choose an image first.", param="file")
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Upload(read_address(QueryParams(fields)), data)
