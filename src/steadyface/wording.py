"""Words of messages."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun.

    >>> counted(1, "frame"), counted(1200, "frame"), counted(2, "identity", "identities")
    ('1 frame', '1,200 frames', '2 identities')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
