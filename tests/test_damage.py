"""Damage is named with its place and count, and what is said agrees with what was read."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import scenes
from numbered_clips import make_clip, numbers, read

from steadyface.cli import main
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

FRAMES = 120
OPTIONS = {"g": "12", "bf": "2"}


def noisy(path: Path, **options: object) -> Path:
    """Write a clip of about equally large frames."""
    times = [k / 30 for k in range(FRAMES)]
    return make_clip(path, times, rate=Fraction(30), noise=True, options=OPTIONS, **options)


def damaged(path: Path, share: float, seed: int) -> Path:
    """Overwrite a stretch somewhere in the middle with random bytes."""
    data, draw = bytearray(path.read_bytes()), np.random.default_rng(seed)
    size = int(share * len(data))
    start = draw.integers(len(data) // 8, len(data) * 7 // 8 - size)
    data[start : start + size] = draw.integers(0, 256, size).astype(np.uint8).tobytes()
    path.write_bytes(data)
    return path


def lost(damage: str | None) -> int:
    """Number of frames that a line calls lost."""
    found = re.search(r"(\d+) frames? lost", damage or "")
    return int(found[1]) if found else 0


@pytest.mark.parametrize("seed", range(6))
def test_a_hole_in_matroska_is_counted(tmp_path: Path, seed: int) -> None:
    """FFmpeg goes on at the next place that it understands, and tells nobody."""
    frames, reader = read(damaged(noisy(tmp_path / "a.mkv"), 0.05, seed))
    assert len(frames) < FRAMES
    assert lost(reader.damage) == FRAMES - len(frames)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.ts"])
@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_read_or_counted(tmp_path: Path, name: str, seed: int) -> None:
    tick = Fraction(1, 30) if name == "a.avi" else Fraction(1, 30_000)
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    clip = damaged(noisy(tmp_path / name, tick=tick, container=container), 0.04, seed)
    frames, reader = read(clip)
    assert reader.damage is not None
    assert lost(reader.damage) == FRAMES - len(frames)


def test_what_lacks_at_the_end_is_told_in_seconds_at_a_variable_rate(tmp_path: Path) -> None:
    """The file says how long it is, and nobody how many frames that would be."""
    times = np.cumsum([1 + 1.5 * (k % 5 == 0) for k in range(FRAMES)]) / 30
    clip = make_clip(tmp_path / "a.mkv", times, rate=Fraction(30), noise=True, tick=Fraction(1, 1000))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames, reader = read(clip)
    told = re.search(r"announces ([\d.]+) s of video; ([\d.]+) s lost$", reader.damage or "")
    assert told
    assert float(told[2]) == pytest.approx(float(told[1]) - frames[-1].seconds, abs=0.06)  # a frame's length


def test_lost_packets_are_counted_at_a_variable_rate(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).uniform(0.01, 0.1, 49)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    clip = make_clip(tmp_path / "a.mp4", times, codec="mjpeg", pixels="yuvj420p")
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0)]
    data = bytearray(clip.read_bytes())
    for start, size in packets[20:23]:
        data[start : start + size] = bytes(size)
    clip.write_bytes(data)
    frames, reader = read(clip)
    assert numbers(frames) == [k for k in range(50) if not 20 <= k < 23]
    assert lost(reader.damage) == 3
    assert "damaged at frame 20 " in (reader.damage or "")


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_a_gap_in_a_sound_file_is_no_damage(tmp_path: Path, name: str) -> None:
    """A recorder that paused, and one of a variable rate."""
    for pause in ([k / 25 + (k >= 20) * 2.0 for k in range(40)], [0.0, 0.04, 0.1, 0.13, 0.9, 1.0]):
        frames, reader = read(make_clip(tmp_path / name, pause))
        assert numbers(frames) == list(range(len(pause)))
        assert reader.damage is None


def test_what_is_lost_at_the_end(tmp_path: Path) -> None:
    clip = noisy(tmp_path / "a.mkv")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames, reader = read(clip)
    assert abs(lost(reader.damage) - (FRAMES - len(frames))) <= 1  # the announced length is rounded
    assert f"damaged at frame {len(frames)} " in (reader.damage or "")


def test_work_that_ends_early_knows_the_damage_so_far(tmp_path: Path) -> None:
    clip = damaged(noisy(tmp_path / "a.mp4", container={"movflags": "faststart"}), 0.04, 0)
    with VideoReader(clip) as reader:
        taken = [next(reader) for _ in range(110)]
    assert len(taken) == 110
    assert "damaged at frame " in (reader.damage or "")


def test_the_command_does_not_contradict_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = scenes.write_clip(tmp_path / "a.mp4", scenes.frames(12))
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0)]
    data = bytearray(clip.read_bytes())
    data[packets[6][0] : packets[6][0] + packets[6][1]] = bytes(packets[6][1])
    clip.write_bytes(data)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as left:
        main(["track", str(clip), "--out", str(out), "--no-overlay", "--quiet"])
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    tracks = Tracks.load(out / "a.npz")
    count = len(tracks.timeline)
    assert f"; the {count} frames that can be read are kept in {out / 'a.npz'}" in line
    assert "damaged at frame " in line
    assert "before" not in line
    assert tracks.meta["damage"] in line
