"""Decoding by a graphics card or another chip, of the kinds that FFmpeg was built with."""

from __future__ import annotations

from av.codec.hwaccel import HWAccel, hwdevices_available

from steadyface.errors import ConfigError

AUTO, NONE = "auto", "none"
"""Any kind that is there; or the processor."""


def check_hwaccel(name: str) -> str:
    """Return the name of a kind of hardware, `auto` or `none`.

    Raises:
        ConfigError: FFmpeg has no such kind; the message lists those it has.
    """
    names = AUTO, NONE, *hwdevices_available()
    if name not in names:
        raise ConfigError.choice("hwaccel", name, names)
    return name


def accelerators(name: str) -> list[HWAccel]:
    """Accelerators to try for a name, the first that works to be used; none for `none`.

    Args:
        name: from `check_hwaccel`.
    """
    kinds = hwdevices_available() if name == AUTO else [] if name == NONE else [name]
    return [HWAccel(kind) for kind in kinds]
