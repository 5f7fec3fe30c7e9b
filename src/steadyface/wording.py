"""Words of messages."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_UNCOMPOSED = str.maketrans(
    {
        **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O"},
        **{"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"},
        **{"’": "'", "–": "-"},
    }
)
"""Latin letters that are no letter of ASCII with a mark, and marks that names are written with."""


_ACTING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that are no text: controls, bytes without a meaning, separators of lines."""

_REORDERING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Classes of characters that reorder the text around them."""


def printable(text: str) -> str:
    r"""Escape what a name may hold but a line of a terminal may not.

    These are control characters, such as newline and escape, with which a file's name could move the cursor
    or imitate another line; characters that reverse the order of the text; and bytes that are no text.

    >>> print(printable("a\x1b[2J\nb é"))
    a\x1b[2J\nb é
    """
    return "".join(ascii(letter)[1:-1] if _acts(letter) else letter for letter in text)


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _ACTING or unicodedata.bidirectional(letter) in _REORDERING


def as_utf8(text: str) -> str:
    r"""Escape the bytes of a file's name that are not UTF-8.

    >>> print(as_utf8("a\udcff é"))
    a\udcff é
    """
    return text.encode(errors="backslashreplace").decode()


def counted(count: int, one: str, many: str | None = None) -> str:
    """Format a number with its noun.

    >>> counted(1, "frame"), counted(1200, "frame"), counted(2, "identity", "identities")
    ('1 frame', '1,200 frames', '2 identities')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """Join items as a sentence does.

    >>> listed(["points", "truth", "normaliser"]), listed(["points"])
    ('points, truth and normaliser', 'points')
    """
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def in_ascii(text: str) -> str | None:
    """Text in the letters of ASCII, without accents; None if it has letters that are not Latin.

    >>> in_ascii("Zoë Łukasz"), in_ascii("Анна"), in_ascii("安娜")
    ('Zoe Lukasz', None, None)
    """
    parted = unicodedata.normalize("NFKD", text.translate(_UNCOMPOSED))
    bare = "".join(letter for letter in parted if not unicodedata.combining(letter))
    return bare if bare.isascii() and bare.isprintable() else None
