"""A clip's report: what it says equals what the tracks hold; it needs nothing else and stays small."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scenes
from html_outline import Outline, asks_nobody, outline_of
from hypothesis import given
from hypothesis import strategies as st

from steadyface import markup, metrics
from steadyface.errors import DataError, VideoError
from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE, find_blinks, visible_eye_openness
from steadyface.pipeline import TrackingOptions
from steadyface.report import report_clip, report_tracks
from steadyface.report.charts import Chart, Line, clock, ticks
from steadyface.report.figures import by_landmark, figures_of, frame_count, last_frame
from steadyface.report.moments import portrait, worst_moments
from steadyface.report.sections import FaceSection
from steadyface.report.series import Series, packed
from steadyface.report.timeline import presence
from steadyface.report.trajectories import CHOSEN, stretches
from steadyface.tracks import Tracks
from steadyface.tracks.timeline import ClipTimeline
from steadyface.video import VideoReader, open_frames

FPS = 25.0


def tracks_of(
    spans: dict[int, list[range]], held: dict[int, list[range]] | None = None, seed: int = 0, **meta: object
) -> Tracks:
    """Faces that wander and shake: which identity is seen, and held, in which frames."""
    rng = np.random.default_rng(seed)
    rows = [
        (frame, face, kept)
        for kept, all_spans in ((False, spans), (True, held or {}))
        for face, parts in all_spans.items()
        for part in parts
        for frame in part
    ]
    frame, face, kept = np.array(sorted(rows), dtype=int).reshape(-1, 3).T
    seconds = frame / FPS
    place = np.stack([60 * np.sin(seconds), 40 * np.cos(0.7 * seconds)], axis=-1) + 150.0 * (
        1 + face[:, None]
    )
    steady = MEAN_FACE[:, :2] + place[:, None]
    raw = steady + rng.normal(0, 0.5, steady.shape)
    points = steady + 0.3 * (raw - steady)
    return Tracks(
        frame=frame,
        seconds=seconds,
        face=face,
        points=points.astype("f4"),
        raw_points=raw.astype("f4"),
        scores=rng.uniform(0.9, 1.0, (len(rows), 68)).astype("f4"),
        box=bounding_box(points).astype("f4") if rows else np.empty((0, 4), "f4"),
        held=kept.astype(bool),
        visible=np.ones((len(rows), 68), "f4"),
        covariances=np.tile(np.eye(2, dtype="f4"), (len(rows), 68, 1, 1)),
        meta={"fps": FPS, "size": [640, 360], "source": "talk.mp4", **meta},
    )


def written(tracks: Tracks, tmp_path: Path, **options: object) -> str:
    path = report_tracks(tracks, tmp_path / "out" / "talk.report.html", **options)  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def tiles(outline: Outline) -> dict[str, str]:
    """Return each tile's title → its figure."""
    return dict(re.findall(r"\n(.+)\n(.+)\n", "\n" + "\n\n".join(_pairs(outline)) + "\n"))


def _pairs(outline: Outline) -> list[str]:
    names = (
        "Frames with a face",
        "Identities",
        "Jitter, stabilised",
        "Delay, frames",
        "Blinks",
        "Speed, frames/s",
    )
    return [f"{text}\n{outline.texts[k + 1]}" for k, text in enumerate(outline.texts) if text in names]


def paths(outline: Outline) -> list[list[dict]]:
    """The data of every face's trajectories."""
    return [json.loads(data) for data in outline.data if data.startswith("[")]


def unpacked(block: dict, count: int) -> np.ndarray:
    codes = np.frombuffer(base64.b64decode(block["data"]), "<u2").reshape(-1, count).astype(float)
    codes[codes == 65535] = np.nan
    return (np.array(block["low"])[:, None] + codes * np.array(block["step"])[:, None]).T


class TestPage:
    def test_it_is_whole_in_itself(self, tmp_path: Path) -> None:
        page = written(tracks_of({0: [range(200)], 1: [range(50, 90)]}), tmp_path)
        assert asks_nobody(page)
        assert "default-src 'none'" in page
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk.report.html"]

    def test_its_figures_are_those_of_the_tracks(self, tmp_path: Path) -> None:
        tracks = tracks_of({0: [range(200)]}, frames=250)
        page = written(tracks, tmp_path)
        figures = tiles(outline_of(page))
        assert figures["Frames with a face"] == "80.0 %"
        assert figures["Identities"] == "1"
        assert figures["Jitter, stabilised"] == f"{tracks.jitter():.3f} %"
        assert figures["Delay, frames"] == f"{tracks.delay():.2f}"
        openness = visible_eye_openness(tracks.raw_points.astype(float), tracks.visible)
        assert figures["Blinks"] == str(len(find_blinks(openness, tracks.seconds)))
        assert "250 frames (640 × 360 px, 25 frames/s), 200 with a face: 1 identity." in page
        assert f"Jitter: {tracks.jitter('raw_points'):.3f}\N{NO-BREAK SPACE}%" in page

    def test_the_paths_are_those_of_the_tracks(self, tmp_path: Path) -> None:
        tracks = tracks_of({0: [range(250)]})
        (views,) = paths(outline_of(written(tracks, tmp_path)))
        assert [view["every"] for view in views] == [True, True, True]
        whole = views[-1]
        values = unpacked(whole["points"], whole["count"]).reshape(-1, 2, 68, 2)
        # A 65535th of a path's range, here 120 px, is 0.002 px; seven digits of the least value as much.
        np.testing.assert_allclose(values[:, 0], tracks.raw_points, atol=0.004)
        np.testing.assert_allclose(values[:, 1], tracks.points, atol=0.004)
        np.testing.assert_allclose(
            unpacked(whole["seconds"], whole["count"])[:, 0], tracks.seconds, atol=1e-3
        )

    def test_each_landmark_can_be_chosen_in_the_diagram_and_the_list(self, tmp_path: Path) -> None:
        outline = outline_of(written(tracks_of({0: [range(60)]}), tmp_path))
        assert sum(tag == "option" for tag, _ in outline.tags) == markup.COUNT
        assert sum(tag == "circle" for tag, _ in outline.tags) == 3 * markup.COUNT

    def test_several_faces_have_a_section_each(self, tmp_path: Path) -> None:
        tracks = tracks_of({0: [range(40)], 3: [range(10, 100)], 7: [range(60, 64)]})
        outline = outline_of(written(tracks, tmp_path))
        headings = [text for text in outline.texts if re.fullmatch(r"Face \d", text)]
        assert headings == ["Face 3", "Face 0", "Face 7"]
        assert tiles(outline)["Identities"] == "3"
        assert "at most 2 at a time" in outline.texts
        assert [tag for tag, attrs in outline.tags if tag == "details" and "open" in attrs] == ["details"]

    def test_very_many_faces_are_counted_and_the_longest_shown(self, tmp_path: Path) -> None:
        tracks = tracks_of({k: [range(5 * k, 5 * k + 4 + k % 3)] for k in range(60)})
        outline = outline_of(written(tracks, tmp_path))
        assert tiles(outline)["Identities"] == "60"
        assert sum(bool(re.fullmatch(r"Face \d+", text)) for text in outline.texts) == 8
        assert "52 identities seen for shorter times: in the timeline only." in outline.texts

    def test_no_face_at_all(self, tmp_path: Path) -> None:
        page = written(tracks_of({}, frames=90), tmp_path)
        assert "90 frames (640 × 360 px, 25 frames/s), none with a face." in page
        assert tiles(outline_of(page))["Frames with a face"] == "0.0 %"
        assert "nan" not in "".join(outline_of(page).texts)

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_very_few_frames(self, tmp_path: Path, count: int) -> None:
        page = written(tracks_of({0: [range(count)]}), tmp_path)
        outline = outline_of(page)
        assert tiles(outline)["Delay, frames"] == "–"
        assert (tiles(outline)["Jitter, stabilised"] == "–") == (count < 3)
        assert "nan" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)

    def test_a_long_track_makes_a_small_page(self, tmp_path: Path) -> None:
        short = tracks_of({0: [range(1500)]})
        long = tracks_of({0: [range(6_000)]})
        sizes = [len(written(tracks, tmp_path)) for tracks in (short, long)]
        assert sizes[1] < 2 * sizes[0]
        assert sizes[1] < 2.5e6
        (views,) = paths(outline_of(written(long, tmp_path)))
        assert [view["every"] for view in views] == [True, True, False]

    def test_meta_of_nothing(self, tmp_path: Path) -> None:
        tracks = tracks_of({0: [range(30)]})
        bare = Tracks(**{**tracks.__dict__, "meta": {}})
        assert "30 frames, all with a face: 1 identity." in written(bare, tmp_path)

    def test_a_folder_that_cannot_be_made_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        with pytest.raises(DataError, match=r"^[^\n]*out: cannot be made: [^\n]+$"):
            written(tracks_of({}), tmp_path)


class TestFigures:
    def test_held_rows_are_no_part_of_any_figure(self) -> None:
        seen = tracks_of({0: [range(30), range(40, 60)]})
        both = tracks_of({0: [range(30), range(40, 60)]}, held={0: [range(30, 40)]}, seed=1)
        (face,) = figures_of(both)
        assert len(face.tracks) == len(seen)
        assert len(face.held) == 10
        assert [len(run) for run in face.runs] == [30, 20]

    def test_jitter_of_the_mean_landmark(self) -> None:
        (face,) = figures_of(tracks_of({0: [range(100)]}))
        mean = np.nanmedian(face.shaking_raw.mean(axis=1))
        assert mean == pytest.approx(face.jitter_raw, rel=1e-6)  # float32 against float64
        one = by_landmark(face.shaking_raw)
        bend = face.tracks.raw_points[1:-1].astype(float)
        bend = bend - (face.tracks.raw_points[:-2].astype(float) + face.tracks.raw_points[2:]) / 2
        size = metrics.interocular(face.tracks.raw_points[1:-1].astype(float))
        by_hand = [np.median(100 * np.hypot(*bend[:, k].T) / size) for k in range(68)]
        np.testing.assert_allclose(one, by_hand, rtol=1e-9)

    def test_raw_and_stabilised_are_compared_in_the_frames_in_which_the_network_ran(self) -> None:
        """What the stabilised points do where they are carried has no raw counterpart."""
        tracks = tracks_of({0: [range(60)]})
        carried = (tracks.frame >= 20) & (tracks.frame < 50)
        shaken = tracks.points + np.float32(9) * (carried & (tracks.frame % 2 == 0))[:, None, None]
        calm, wild = (replace(tracks, carried=carried, points=points) for points in (tracks.points, shaken))
        faces = [figures_of(each)[0] for each in (calm, wild)]
        sections = [FaceSection(face, [], portrait(face), 9) for face in faces]
        assert sections[0].face.jitter == sections[1].face.jitter
        assert sections[0].jitter == sections[1].jitter
        assert np.nanmax(sections[0].face.shaking) < sections[1].face.shaking[30].min()

    def test_presence_has_its_gaps(self) -> None:
        (face,) = figures_of(tracks_of({0: [range(25), range(50, 75)]}))
        assert presence(face.tracks, 10.0) == [pytest.approx((0.0, 1.0)), pytest.approx((2.0, 3.0))]
        assert presence(face.tracks, 2000.0) == [pytest.approx((0.0, 3.0))]

    def test_stretches_show_rest_and_shaking(self) -> None:
        tracks = tracks_of({0: [range(500)]})
        tracks.raw_points[300:330] += np.random.default_rng(1).normal(0, 9, (30, 68, 2))
        (face,) = figures_of(tracks)
        calm, rough, whole = stretches(face)
        assert rough.start <= 300 / FPS <= 329 / FPS <= rough.end
        assert (whole.start, whole.end) == (0.0, 499 / FPS)
        moved = np.linalg.norm(np.diff(tracks.points.astype(float), axis=0), axis=-1).mean(axis=1)
        moved = np.append(moved, 0.0)
        means = [moved[k : k + 101].mean() for k in range(400)]  # of 4 s, both ends included
        assert calm.start == pytest.approx(int(np.argmin(means)) / FPS)
        assert calm.end - calm.start == pytest.approx(4.0)


class TestMoments:
    def test_the_worst_moments_are_found(self) -> None:
        tracks = tracks_of({0: [range(100), range(150, 200)]})
        tracks.points[20] += 30
        tracks.scores[60] = 0.4
        (face,) = figures_of(tracks)
        found = {(moment.kind, moment.frame) for moment in worst_moments(face, last=199)}
        assert {("score", 60), ("loss", 100)} <= found
        assert any(kind == "jitter" and frame in (19, 20, 21) for kind, frame in found)
        assert not any(kind == "loss" and frame == 200 for kind, frame in found)  # the clip's end

    def test_a_loss_in_a_part_of_a_clip(self) -> None:
        """Its frames have the numbers of the file, so that there are fewer than the last number says."""
        tracks = tracks_of({0: [range(300, 340)]})
        timeline = ClipTimeline.of_rows(np.arange(300, 400), np.arange(300, 400) / FPS)
        tracks = replace(tracks, timeline=timeline, meta={"frames": 100, "start": 300 / FPS})
        assert (frame_count(tracks), last_frame(tracks)) == (100, 399)
        (face,) = figures_of(tracks)
        moments = worst_moments(face, last_frame(tracks))
        assert [moment.frame for moment in moments if moment.kind == "loss"] == [340]

    def test_their_pictures_are_in_the_page(self, tmp_path: Path) -> None:
        clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(20))
        page = written(tracks_of({0: [range(20)]}, size=[scenes.WIDTH, scenes.HEIGHT]), tmp_path, clip=clip)
        images = [attrs["src"] for tag, attrs in outline_of(page).tags if tag == "img"]
        assert images
        for url in images:
            data = base64.b64decode(str(url).removeprefix("data:image/jpeg;base64,"))
            assert data[:2] == b"\xff\xd8"
        assert "No pictures: the clip was not given" not in page
        assert "No pictures: the clip was not given" in written(tracks_of({0: [range(20)]}), tmp_path)

    def test_a_clip_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError):
            written(tracks_of({0: [range(20)]}), tmp_path, clip=tmp_path / "none.mp4")


class TestClip:
    def test_it_is_tracked_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(12))
        out = tmp_path / "out"
        page, summary = report_clip(clip, out)
        assert summary is not None
        figures = tiles(outline_of(page.read_text(encoding="utf-8")))
        assert figures["Speed, frames/s"] == f"{summary.frames_per_second:.1f}"
        assert figures["Jitter, stabilised"] == f"{Tracks.load(out / 'talk.npz').jitter():.3f} %"
        written = (out / "talk.npz").stat().st_mtime_ns
        monkeypatch.setattr("steadyface.report.writing.build", None)  # no network is opened
        page, summary = report_clip(clip, out, TrackingOptions(fps=30.0))  # of folders of images
        assert summary is None
        assert (out / "talk.npz").stat().st_mtime_ns == written
        assert "Speed" not in page.read_text(encoding="utf-8")

    def test_pictures_are_of_the_kind_of_pixels_that_was_tracked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip, kinds = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(12)), []
        report_clip(clip, tmp_path, TrackingOptions(pixels="coded"))

        def opened(path: Path, fps: float, start: float, end: float | None, pixels: str) -> VideoReader:
            kinds.append(pixels)
            return open_frames(path, fps, start, end, pixels)

        monkeypatch.setattr("steadyface.clips.results.open_frames", opened)
        report_clip(clip, tmp_path)
        assert kinds == ["coded"]

    def test_tracks_of_another_clip_are_not_taken_for_its_own(self, tmp_path: Path) -> None:
        clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(3))
        tracks_of({0: [range(3)]}, source="talk.mov").save(tmp_path / "talk.npz")
        with pytest.raises(DataError, match=r"holds tracks of talk.mov, not of .*talk.mp4: name another"):
            report_clip(clip, tmp_path)


class TestScript:
    def test_it_draws_as_the_page_was_drawn(self, tmp_path: Path) -> None:
        """Choosing another landmark and then the first one again gives the lines and labels of before."""
        playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        if chromium is None:
            pytest.skip("needs chromium on the path")
        path = report_tracks(tracks_of({0: [range(250)]}), tmp_path / "talk.html")
        charts = """() => [...document.querySelectorAll(".paths .chart")].map((chart) => ({
            lines: [...chart.querySelectorAll(".line")].map((line) => line.getAttribute("d")),
            labels: [...chart.querySelectorAll(".x span, .y span")].map(
                (label) => [label.textContent, parseFloat(label.style.left || label.style.top)]),
        }))"""
        with playwright.sync_playwright() as player:
            browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(path.as_uri())
            drawn = [page.evaluate(charts)]
            for landmark in (8, CHOSEN):
                page.locator(".paths select").select_option(str(landmark))
                drawn.append(page.evaluate(charts))
            browser.close()
        first, other, again = drawn
        assert not problems
        assert len(first) == 4
        for before, between, after in zip(first, other, again, strict=True):
            assert between["lines"] != after["lines"]
            assert [text for text, _ in before["labels"]] == [text for text, _ in after["labels"]]
            places = [[place for _, place in chart["labels"]] for chart in (before, after)]
            np.testing.assert_allclose(*places, atol=0.1)  # % of the chart
            for line, same in zip(before["lines"], after["lines"], strict=True):
                # A step of the data is 0.002 px; a deviation chart shows 2 px on 1000 units.
                np.testing.assert_allclose(*(numbers(text) for text in (line, same)), atol=1.5)


def numbers(path: str) -> list[float]:
    """The coordinates in SVG path data."""
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


class TestSeries:
    @given(count=st.integers(1, 400), most=st.integers(10, 60), seed=st.integers(0, 99))
    def test_shortened_series_keep_their_extremes(self, count: int, most: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        seconds, values = np.cumsum(rng.uniform(0.01, 0.1, count)), rng.normal(size=(count, 3))
        short = Series(seconds, values).at_most(most)
        assert len(short.seconds) <= max(most, count if count <= most else 0)
        assert (np.diff(short.seconds) > 0).all()
        assert seconds[0] <= short.seconds[0] <= short.seconds[-1] <= seconds[-1]
        np.testing.assert_array_equal(np.nanmax(short.values, axis=0), values.max(axis=0))
        np.testing.assert_array_equal(np.nanmin(short.values, axis=0), values.min(axis=0))

    @pytest.mark.parametrize("most", [50, 500])
    def test_lines_break_where_there_is_nothing(self, most: int) -> None:
        seconds = np.concatenate([np.arange(100), np.arange(200, 300)]) / FPS
        short = Series(seconds, np.ones(200)).at_most(most)
        gap = (short.seconds > 99 / FPS + 0.3) & (short.seconds < 200 / FPS - 0.3)
        assert gap.any()
        assert np.isnan(short.values[gap]).all()

    @given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e4))
    def test_packing_loses_less_than_a_step(self, seed: int, scale: float) -> None:
        values = np.random.default_rng(seed).normal(0, scale, (40, 5))
        values[3:6, 2] = np.nan
        values[:, 4] = np.nan
        values[:, 3] = scale
        back = unpacked(packed(values), 40)
        np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
        # Half a 65534th of a range of about 6 scales, and seven digits of the least value.
        np.testing.assert_allclose(back, values, atol=1e-4 * scale)


class TestCharts:
    def test_a_line_goes_where_its_values_are(self) -> None:
        series = Series(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, np.nan, 0.5, 0.0]))
        line = Line("raw", "raw", series)
        chart = Chart("raw", [line], (0.0, 4.0), low=0.0, high=1.0)
        assert chart.path(line) == "M0 1000h0L250 0M750 500h0L1000 1000"
        assert chart.value_labels[0] == ("0", 100.0)
        assert chart.rules[0] == 1000.0

    @given(low=st.floats(-1e4, 1e4), wide=st.floats(1e-3, 1e5))
    def test_ticks_are_few_and_inside(self, low: float, wide: float) -> None:
        found = ticks(low, low + wide, 5)
        assert 1 <= len(found) <= 9
        slack = 1e-6 * wide + 1e-9 * abs(low)  # they are rounded to ten digits
        assert all(low - slack <= tick <= low + wide + slack for tick in found)

    def test_clocks(self) -> None:
        assert [clock(t, 100.0) for t in (0.0, 2.5)] == ["0 s", "2.5 s"]
        assert [clock(t, 600.0) for t in (0.0, 75.0)] == ["0:00", "1:15"]
        assert clock(3725.0, 7200.0) == "1:02:05"
