"""Why a command ends without having done what it was asked for."""


class CannotDo(Exception):
    """The message says what is wrong and what to do; the exit code is 1."""
