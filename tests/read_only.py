"""A store that can be read and not written, as somebody else's bucket: ``readonly://name``."""

import errno

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class ReadOnly(MemoryFileSystem):
    """Nothing is in it."""

    protocol = "readonly"

    def pipe_file(self, path: str, value: bytes, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied", path)


URL = "readonly://bucket"
fsspec.register_implementation("readonly", ReadOnly, clobber=True)
