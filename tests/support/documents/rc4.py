"""How PDFs were first encrypted (40 bits; PDF 1.7, 7.6): short, and every reader knows it. Not for secrets."""

import hashlib

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_RIGHTS = -4  # all that the user may do
_KEY_BYTES = 5


class Encryption:
    """Of one document."""

    def __init__(self, password: str, owner_password: str = "") -> None:
        user = _padded(password)
        owner = rc4(hashlib.md5(_padded(owner_password or password)).digest()[:_KEY_BYTES], user)
        identifier = b"0123456789abcdef"
        rights = _RIGHTS.to_bytes(4, "little", signed=True)
        self._key = hashlib.md5(user + owner + rights + identifier).digest()[:_KEY_BYTES]
        proof = rc4(self._key, _PADDING)
        self.id = _hex(identifier)
        self.dictionary = b"<< /Filter /Standard /V 1 /R 2 /O %s /U %s /P %d >>" % (
            _hex(owner),
            _hex(proof),
            _RIGHTS,
        )

    def encrypt(self, data: bytes, number: int) -> bytes:
        """A string or a stream of the object with this number."""
        salt = number.to_bytes(3, "little") + bytes(2)
        return rc4(hashlib.md5(self._key + salt).digest()[: _KEY_BYTES + 5], data)


def rc4(key: bytes, data: bytes) -> bytes:
    """The cipher; the same call decrypts."""
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _hex(value: bytes) -> bytes:
    return b"<%s>" % value.hex().encode()
