"""A message of the user, with the images that it names."""

import sys

from cli.chat.images import images_in, missing_in
from cli.chat.session import Message


def user_message(text: str, *, sees: bool) -> Message:
    """sees: whether the model takes images. What looks like the path of one and goes as text is told on standard
    error.

    Raises CannotDo.
    """
    if not sees:
        if names := images_in(text).names:
            _note(f"the model sees no images; {', '.join(names)} is text to it.")
        return Message("user", text)
    for name in missing_in(text):
        _note(f"there is no file {name}; it is sent as text.")
    found = images_in(text)
    for name in found.names:
        _note(f"added the image {name}.")
    return Message("user", found.text, found.images)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
