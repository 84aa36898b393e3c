"""What goes wrong, as phial.h names it."""


class Error(Exception):
    """A call failed: what went wrong and what to do about it, in one line. `code` is one of phial.h, in words, such as
    "not found", "out of memory" or "cancelled"."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code
