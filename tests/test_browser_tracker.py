"""The browser's tracker beside Python's, on scripted faces: no network, and no browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from browser_package import is_there, needs_node, run_node

from steadyface.geometry import Region, bounding_box
from steadyface.landmarker import Landmarks
from steadyface.measures import MEAN_FACE
from steadyface.stabilizer import load_stabilizer, stabilizer_path
from steadyface.tracking import AppearanceConfig, CutConfig, MatchingConfig, Tracker, TrackerConfig

pytestmark = [is_there, needs_node]

FPS = 25.0
WIDTH, HEIGHT = 640, 480
SURE, UNSURE = 0.97, 0.2
TEMPLATE = MEAN_FACE[:, :2] - MEAN_FACE[:, :2].mean(axis=0)
TEMPLATE = TEMPLATE / np.ptp(TEMPLATE[:, 0])

Shapes = list[list[np.ndarray]]
"""Points of the faces that each frame shows."""

CONFIG = TrackerConfig(
    confirm=0,
    cuts=CutConfig(min_novelty=2, possible_novelty=2, dissolve_novelty=2),
    appearance=AppearanceConfig(max_distance=3, max_change=3, distance_scale=1e9),
    matching=MatchingConfig(max_cost=2),
)
"""What the browser's tracker does without is switched off: appearance, cuts; so is the finder's check."""


def face(x: float, y: float, size: float, roll: float = 0.0) -> np.ndarray:
    cos, sin = size * np.cos(roll), size * np.sin(roll)
    return TEMPLATE @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def scripted() -> Shapes:
    """One face sways; another is away for a while; a third, lying, is there shortly; the first leaves."""
    rng = np.random.default_rng(5)
    shapes: Shapes = []
    for t in range(90):
        here = []
        if t < 70:
            here.append(face(200 + 60 * np.sin(t / 6), 200 + t, 110, 0.2 * np.sin(t / 9)))
        if t < 15 or t >= 27:
            here.append(face(480 + 20 * (t >= 50) - t / 3, 180, 80 + 0.4 * t))
        if 40 <= t < 46:
            here.append(face(330, 90, 60, np.pi / 2))
        shapes.append([points + rng.normal(0, 0.4, (68, 2)) for points in here])
    return shapes


class Script:
    """Landmark network and detector that know where the faces are."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes, self.now, self.asked = shapes, 0, []  # type: ignore[var-annotated]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return np.array([bounding_box(points) for points in self.shapes[self.now]]).reshape(-1, 4)

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        self.asked += [[region.x, region.y, region.side, region.roll] for region in regions]
        return Landmarks.stack([self._predict(region) for region in regions])

    def _predict(self, region: Region) -> Landmarks:
        """The face in the region's middle, the same way up, else a guess without confidence."""
        middle = np.array([region.x, region.y])
        for points in self.shapes[self.now]:
            centre = bounding_box(points).reshape(2, 2).mean(axis=0)
            across = points[45] - points[36]
            same_roll = np.cos(region.roll - np.arctan2(across[1], across[0])) > 0.5
            if same_roll and np.linalg.norm(centre - middle) < region.side / 3:
                return Landmarks.of_points(points, np.full(68, SURE))
        return Landmarks.of_points(TEMPLATE * region.side / 1.3 + middle, np.full(68, UNSURE))


BROWSER = """
    import { Stabilizer, Tracker } from "./index.js";
    import { boxOf, middleOf } from "./lib/geometry.js";
    async function answer({ shapes, template, parameters, size, fps, config, sure, unsure }) {
      const asked = [];
      let now = 0;
      const predict = ({ x, y, side, roll }) => {
        asked.push([x, y, side, roll]);
        const found = shapes[now].find((points) => {
          const [u, v] = middleOf(boxOf(points));
          const own = Math.atan2(points[91] - points[73], points[90] - points[72]);
          return Math.cos(roll - own) > 0.5 && Math.hypot(u - x, v - y) < side / 3;
        });
        const points = found ?? template.map((value, i) => (value * side) / 1.3 + (i % 2 ? y : x));
        return {
          points: Float64Array.from(points),
          scores: new Float64Array(68).fill(found ? sure : unsure),
          covariances: null,
          visible: null,
        };
      };
      const landmarker = { predictRegions: async (image, regions) => regions.map(predict) };
      const finder = { find: async () => shapes[now].map((points) => ({ box: boxOf(points), score: 1 })) };
      const tracker = new Tracker(landmarker, finder, new Stabilizer(parameters), config);
      const frames = [];
      for (now = 0; now < shapes.length; now++) {
        const faces = await tracker.step(size, now / fps);
        frames.push(faces.map(({ id, held, points, scores }) =>
          ({ id, held, points: Array.from(points), score: scores[0] })));
      }
      return { frames, asked };
    }
"""


def in_browser(shapes: Shapes, **config: object) -> Any:
    given = {
        "shapes": [[points.ravel().tolist() for points in here] for here in shapes],
        "template": TEMPLATE.ravel().tolist(),
        "parameters": json.loads(stabilizer_path("sta").read_text(encoding="utf-8")),
        "size": {"width": WIDTH, "height": HEIGHT},
        "config": {"confirm": 0, **config},
        **{"fps": FPS, "sure": SURE, "unsure": UNSURE},
    }
    return run_node(BROWSER, given)


@pytest.fixture(scope="module")
def found() -> Any:
    return in_browser(scripted())


def test_regions_ids_and_points_are_python_s(found: Any) -> None:
    script = Script(scripted())
    tracker = Tracker(script, script, load_stabilizer("sta"), CONFIG, motion=False)
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for t, theirs in enumerate(found["frames"]):
        script.now = t
        ours = tracker.step(frame, t / FPS)
        assert [(face["id"], face["held"]) for face in theirs] == [
            (face.face_id, face.held) for face in ours
        ], t
        for face, other in zip(theirs, ours, strict=True):
            # px: both compute in float64; sums run in another order.
            np.testing.assert_allclose(np.reshape(face["points"], (68, 2)), other.points, rtol=0, atol=1e-6)
            assert face["score"] == pytest.approx(other.scores[0])
    np.testing.assert_allclose(found["asked"], script.asked, rtol=0, atol=1e-6)


def test_the_script_has_what_can_happen(found: Any) -> None:
    """A face is lost, coasts, and returns with its id; a new one gets another; all leave."""
    ids = [[face["id"] for face in frame if not face["held"]] for frame in found["frames"]]
    assert ids[0] == [0, 1]
    assert ids[20] == [0]
    assert ids[35] == [0, 1]
    assert 2 in ids[45]
    assert ids[-1] == [1]
    assert any(face["held"] for frame in found["frames"] for face in frame)


def test_most_faces_are_the_largest_first() -> None:
    found = in_browser(scripted()[:5], maxFaces=1)
    places = [np.reshape(frame[0]["points"], (68, 2)).mean(axis=0)[0] for frame in found["frames"]]
    assert [len(frame) for frame in found["frames"]] == [1] * 5
    assert max(places) < 300  # px: the face on the left is larger


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("await tracker.step(size, 1); await tracker.step(size, 1);", "seconds must grow"),
        ("await tracker.step(size, NaN);", "seconds must grow"),
        ("tracker.step(size, 0); await tracker.step(size, 1);", "the last step has not ended"),
        ("tracker.step(size, 0); tracker.reset();", "the last step has not ended"),
        ("await tracker.step(size, 1); tracker.reset(); await tracker.step(size, 0);", None),
    ],
)
def test_wrong_calls_are_told(steps: str, said: str | None) -> None:
    script = f"""
        import {{ Tracker }} from "./index.js";
        async function answer(size) {{
          const landmarker = {{ predictRegions: async () => [] }};
          const tracker = new Tracker(landmarker, {{ find: async () => [] }});
          try {{ {steps} }} catch (error) {{ return error.message; }}
          return null;
        }}
    """
    answer = run_node(script, {"width": WIDTH, "height": HEIGHT})
    assert (answer is None) if said is None else answer.startswith(said)
