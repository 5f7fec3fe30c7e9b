"""Motion of the head, blinks, speech and raised brows, as smooth functions of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Events:
    """Events that come and go: starts and lengths in s, and sizes."""

    starts: Float[np.ndarray, "events"]
    lengths: Float[np.ndarray, "events"]
    sizes: Float[np.ndarray, "events"]

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        until: float,
        pauses: tuple[float, float],
        lengths: tuple[float, float],
        sizes: tuple[float, float] = (1.0, 1.0),
    ) -> Events:
        """Draw events with pauses between, from 0 to `until`; each number is uniform in its range."""
        rows, time = [], 0.0
        while time < until:
            pause, length, size = (rng.uniform(*span) for span in (pauses, lengths, sizes))
            rows.append((time + pause, length, size))
            time += pause + length
        return cls(*np.array(rows).reshape(-1, 3).T)

    def phases(self, seconds: float) -> Float[np.ndarray, "events"]:
        """Phase of each event: 0 before, 1 after, linear between."""
        return np.clip((seconds - self.starts) / self.lengths, 0.0, 1.0)

    def bump(self, seconds: float, skew: float = 1.0) -> float:
        """Rise smoothly from 0 to the event's size and return; a `skew` below 1 rises faster than it falls.

        Equation: size·(1 - (1 - sin²(π·phase^skew))³).
        """
        rise = np.sin(np.pi * self.phases(seconds) ** skew) ** 2
        return float(self.sizes @ (1 - (1 - rise) ** 3))


@dataclass(frozen=True)
class Waves:
    """Smooth random functions of one variable within ± 1: sums of sinusoids, slow ones large."""

    periods: Float[np.ndarray, "channels waves"]
    phases: Float[np.ndarray, "channels waves"]

    @classmethod
    def drawn(cls, rng: np.random.Generator, channels: int, waves: int = 4) -> Waves:
        """Draw periods of 2 to 6 s of the head's own clock, which runs up to 6.4 times as fast as time."""
        shape = (channels, waves)
        return cls(np.exp(rng.uniform(math.log(2), math.log(6), shape)), rng.uniform(0, 2 * np.pi, shape))

    def __call__(self, time: float) -> Float[np.ndarray, "channels"]:
        sizes = self.periods / self.periods.sum(axis=-1, keepdims=True)
        return (sizes * np.sin(2 * np.pi * time / self.periods + self.phases)).sum(axis=-1)


@dataclass(frozen=True)
class Script:
    """All motion of one clip.

    The head follows smooth waves along a clock of its own, which nearly stops while the head rests.
    """

    head_waves: Waves
    moves: Events
    blinks: Events
    talks: Events
    syllables: Float[np.ndarray, "bursts 2"]
    raises: Events
    lights: Waves

    @classmethod
    def drawn(cls, seed: int, seconds: float, blinks: float) -> Script:
        """Draw every part from its own random stream, so that one does not change the others."""
        rngs = [np.random.default_rng([seed, part]) for part in range(1, 8)]
        until = seconds + 1.0
        talks = Events.drawn(rngs[3], until, pauses=(0.4, 1.5), lengths=(1.0, 3.0), sizes=(0.6, 1.0))
        return cls(
            head_waves=Waves.drawn(rngs[0], channels=6),
            moves=_moves(rngs[1], until),
            blinks=_blinks(rngs[2], until, blinks),
            talks=talks,
            syllables=rngs[4].uniform((2.0, 0.0), (5.0, 2 * np.pi), (len(talks.starts), 2)),
            raises=Events.drawn(rngs[5], until, pauses=(1.5, 5.0), lengths=(0.6, 1.5), sizes=(0.4, 1.0)),
            lights=Waves.drawn(rngs[6], channels=1),
        )

    def head(self, seconds: float) -> Float[np.ndarray, "6"]:
        """x, y, roll, zoom, yaw and pitch, relative to their largest values, within ± 1."""
        return self.head_waves(self._clock(seconds))

    def light(self, seconds: float) -> float:
        """Exposure relative to its largest change, within ± 1; its periods are half those of `Waves`."""
        return float(self.lights(2 * seconds)[0])

    def weights(self, seconds: float, closing: float) -> Float[np.ndarray, "5"]:
        """Weights of the face's displacements: blink, mouth (from -closing), yaw, pitch, brows."""
        yaw, pitch = self.head(seconds)[4:]
        blink, brows = self.blinks.bump(seconds, skew=0.6), self.raises.bump(seconds)
        return np.array([blink, self._mouth(seconds, closing), yaw, pitch, brows])

    def _clock(self, seconds: float) -> float:
        """Integrate 2 % of real time plus sin² of the phase of each move, which starts and ends smoothly."""
        phase = self.moves.phases(seconds)
        run = phase / 2 - np.sin(2 * np.pi * phase) / (4 * np.pi)
        return 0.02 * seconds + float(self.moves.sizes * self.moves.lengths @ run)

    def _mouth(self, seconds: float, closing: float) -> float:
        """Open by sin² at the rate of syllables, which differ in size; fast ones are small."""
        rate, phase = self.syllables.T
        beat = np.pi * rate * (seconds - self.talks.starts)
        opening = np.sin(beat) ** 2 * (0.7 + 0.3 * np.sin(0.74 * beat + phase)) * np.sqrt(2 / rate)
        said = replace(self.talks, sizes=self.talks.sizes * (opening * (1 + closing) - closing))
        return said.bump(seconds)


def _moves(rng: np.random.Generator, until: float) -> Events:
    """Draw moves with rests of 0.45 to 0.9 times their length, and speeds from 0.8 to 6.4, mostly slow."""
    rows, time = [], 0.0
    while time < until:
        length, rest, speed = rng.uniform(0.7, 1.8), rng.uniform(0.45, 0.9), 0.8 * 8 ** rng.uniform() ** 2
        rows.append((time + rest * length, length, speed))
        time += (1 + rest) * length
    return Events(*np.array(rows).T)


def _blinks(rng: np.random.Generator, until: float, per_minute: float) -> Events:
    """Draw blinks of 0.25 to 0.4 s that close the eyes by 94 to 100 %.

    At 17 a minute there is one every 2 to 5 s; the first comes early.
    """
    if not per_minute:
        return Events(*np.zeros((3, 0)))
    period = 60 / per_minute
    pauses = (max(period * 4 / 7 - 0.325, 0.0), max(period * 10 / 7 - 0.325, 0.1))
    until += 2 * period  # all blinks are moved to earlier times below, so that the first one is early
    later = Events.drawn(rng, until, pauses, lengths=(0.25, 0.4), sizes=(0.94, 1.0))
    return replace(later, starts=later.starts - later.starts[0] + rng.uniform(0.1, 0.5) * period)
