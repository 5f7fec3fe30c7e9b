"""Oblong pixels and 16 bits: the picture as a player shows it, over the range that the clip uses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import scenes
from numbered_clips import GREY_ERROR, HEIGHT, WIDTH, make_clip, numbers

from steadyface.cli import main
from steadyface.errors import ConfigError
from steadyface.images import write_image
from steadyface.tracks import Tracks
from steadyface.video import VideoReader, open_frames

ASPECTS = [Fraction(16, 11), Fraction(4, 3), Fraction(8, 9), Fraction(1, 1)]


class TestAspect:
    @pytest.mark.parametrize("aspect", ASPECTS)
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
    def test_square_pixels(self, tmp_path: Path, name: str, aspect: Fraction) -> None:
        clip = make_clip(tmp_path / name, aspect=aspect)
        with VideoReader(clip) as reader:
            frame = next(reader)
        width = round(WIDTH * aspect)
        assert frame.image.shape == (HEIGHT, width, 3)
        assert (reader.width, reader.height) == (width, HEIGHT)
        meta = reader.meta()
        assert (meta["size"], meta["coded_size"]) == ([width, HEIGHT], [WIDTH, HEIGHT])
        # Black in the lower left quarter of the picture, grey beside it.
        lower = frame.image[HEIGHT * 3 // 4, :, 0].astype(int)
        edge = width // 4
        assert np.abs(lower[: edge - 4]).max() <= GREY_ERROR
        assert np.abs(lower[edge + 4 :] - 128).max() <= GREY_ERROR

    @pytest.mark.parametrize("aspect", ASPECTS)
    def test_coded_pixels(self, tmp_path: Path, aspect: Fraction) -> None:
        clip = make_clip(tmp_path / "a.mp4", aspect=aspect)
        with open_frames(clip, pixels="coded") as reader:
            assert next(reader).image.shape == (HEIGHT, WIDTH, 3)
        assert reader.meta()["pixels"] == "coded"

    def test_of_a_turned_picture(self, tmp_path: Path) -> None:
        """The coded rows are wide; turned, they stand."""
        clip = make_clip(tmp_path / "a.mov", aspect=Fraction(4, 3), rotation=(90, False))
        with VideoReader(clip) as reader:
            assert next(reader).image.shape == (round(WIDTH * 4 / 3), HEIGHT, 3)

    def test_another_kind(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="unknown kind of pixels 'round'; choose one of: square, coded"):
            VideoReader(make_clip(tmp_path / "a.mp4", [0.0]), pixels="round")

    def test_points_and_overlay_are_in_the_shown_picture(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A face squeezed to three quarters of its width and marked as 4 : 3 is tracked as it looks."""
        images = scenes.frames(3)
        whole = scenes.write_clip(tmp_path / "whole.mp4", images)
        squeezed = tmp_path / "squeezed.mp4"
        with av.open(str(squeezed), "w") as out:
            stream = out.add_stream("libx264", rate=25, options={"crf": "12"})
            stream.height, stream.width = images[0].shape[0], images[0].shape[1] * 3 // 4
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
            for image in images:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
                out.mux(stream.encode(frame.reformat(stream.width, stream.height, "yuv420p")))
            out.mux(stream.encode())
        out_folder = tmp_path / "out"
        with pytest.raises(SystemExit) as left:
            main(["track", str(whole), str(squeezed), "--out", str(out_folder), "--quiet"])
        assert left.value.code == 0
        tables = [Tracks.load(out_folder / f"{clip.stem}.npz") for clip in (whole, squeezed)]
        size = np.ptp(tables[0].points[0], axis=0).max()
        difference = np.linalg.norm(tables[0].points - tables[1].points, axis=-1)
        assert difference.mean() < 0.02 * size  # what is lost by coding three quarters of the pixels
        with VideoReader(out_folder / "squeezed.overlay.mp4") as overlay:
            assert next(overlay).image.shape == images[0].shape


def grey_clip(path: Path, scale: int, offset: int = 0, count: int = 20) -> Path:
    """Write FFV1 in 16 bits: a ramp that brightens from frame to frame, up to about 256 · scale."""
    ramp = np.linspace(0, 128, WIDTH)[None] * np.ones((HEIGHT, 1))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25, time_base=Fraction(1, 1000))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray16le"
        for k in range(count):
            levels = offset + scale * (ramp + 128 * k / (count - 1))
            frame = av.VideoFrame.from_ndarray(levels.astype(np.uint16), "gray16le")
            frame.pts, frame.time_base = 40 * k, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


class TestSixteenBits:
    @pytest.mark.parametrize(("scale", "offset"), [(16, 0), (16, 20_000), (64, 0)])
    def test_the_range_of_the_clip_becomes_the_screens(self, tmp_path: Path, scale: int, offset: int) -> None:
        with VideoReader(grey_clip(tmp_path / "a.mkv", scale, offset)) as reader:
            images = np.array([frame.image[..., 0] for frame in reader]).astype(float)
        low, high = reader.meta()["levels"]
        assert (low, high) == pytest.approx([offset, offset + 256 * scale], abs=0.02 * 256 * scale)
        assert images.min() == 0
        assert images.max() == 255
        # One range for the clip: it brightens evenly, half of its range from first to last.
        assert images[-1].mean() - images[0].mean() == pytest.approx(128, abs=4)

    def test_all_levels_are_kept(self, tmp_path: Path) -> None:
        with VideoReader(grey_clip(tmp_path / "a.mkv", 255)) as reader:
            images = np.array([frame.image[..., 0] for frame in reader]).astype(float)
        assert "levels" not in reader.meta()
        assert images[-1].mean() - images[0].mean() == pytest.approx(128 * 255 / 256, abs=3)

    def test_a_part_has_the_levels_of_the_whole(self, tmp_path: Path) -> None:
        clip = grey_clip(tmp_path / "a.mkv", 16)
        with VideoReader(clip) as reader:
            whole = [frame.image for frame in reader]
        with VideoReader(clip, 0.4) as reader:
            part = [frame.image for frame in reader]
        assert np.abs(np.array(part).astype(int) - np.array(whole[10:])).max() <= 4

    def test_colour(self, tmp_path: Path) -> None:
        clip = tmp_path / "a.mkv"
        with av.open(str(clip), "w") as out:
            stream = out.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gbrp16le"
            image = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
            image[:, : WIDTH // 2] = 4095, 2048, 0
            frame = av.VideoFrame.from_ndarray(image, "rgb48le").reformat(format="gbrp16le")
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
        with VideoReader(clip) as reader:
            shown = next(reader).image
        assert np.abs(shown[5, 5].astype(int) - (255, 128, 0)).max() <= 2
        assert shown[5, -5].max() <= 2

    def test_eight_bits_stay(self, tmp_path: Path) -> None:
        write_image(tmp_path / "a.png", np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
        assert numbers(open_frames(tmp_path / "a.png")) == [0]
        with VideoReader(make_clip(tmp_path / "a.mp4")) as reader:
            assert "levels" not in reader.meta()
