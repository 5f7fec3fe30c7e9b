"""A face's points as animated empties in Blender.

    steadyface track clip.mp4 --format json --stabilizer sta-offline
    python examples/blender_export.py steadyface-out/clip.json OUT.py [FACE]
    blender --python OUT.py

Writes a script for Blender that holds its own data: one empty per landmark, parented to an empty that carries
the head's place and turn, key frames in the scene's frame rate. One unit is the distance of the outer eye
corners; x to the right, z up, as seen by a camera that looks along y.
"""

from __future__ import annotations

import json

import numpy as np

import steadyface
from steadyface import markup
from steadyface.cli.terminal import run_script
from steadyface.errors import ConfigError
from steadyface.files import write_text
from steadyface.metrics import interocular

SCRIPT = """import bpy

DATA = {data}

scene = bpy.context.scene
scene.render.fps = round(DATA["fps"])
scene.render.fps_base = scene.render.fps / DATA["fps"]
scene.frame_end = max(DATA["frames"])


def empty(name, parent, size):
    made = bpy.data.objects.new(name, None)
    made.empty_display_size, made.parent = size, parent
    scene.collection.objects.link(made)
    return made


root = empty("face", None, 0.5)
points = [empty(name, root, 0.02) for name in DATA["names"]]
for row, frame in enumerate(DATA["frames"]):
    root.location, root.rotation_euler = DATA["place"][row], (0, DATA["roll"][row], 0)
    root.keyframe_insert("location", frame=frame)
    root.keyframe_insert("rotation_euler", frame=frame)
    for point, place in zip(points, DATA["points"][row]):
        point.location = place
        point.keyframe_insert("location", frame=frame)
"""


def animation(tracks: steadyface.Tracks) -> dict[str, object]:
    """Return the head's position and roll, and the points in a frame that moves with it."""
    points = tracks.points.astype(float)
    unit = float(np.median(interocular(points)))
    right, left = (points[:, corner] for corner in markup.OUTER_EYE_CORNERS)
    middle, across = (right + left) / 2, left - right
    roll = np.arctan2(across[:, 1], across[:, 0])
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    x, y = np.moveaxis(points - middle[:, None], -1, 0)
    local = np.stack([x * cos + y * sin, np.zeros_like(x), x * sin - y * cos], axis=-1) / unit
    place = np.stack([middle[:, 0], np.zeros(len(middle)), -middle[:, 1]], axis=-1) / unit
    return {
        "fps": tracks.meta.get("fps", 25.0),
        "frames": (tracks.frame + 1).tolist(),
        "names": list(markup.NAMES),
        "place": place.round(5).tolist(),
        "roll": roll.round(6).tolist(),
        "points": local.round(5).tolist(),
    }


def main(source: str, out: str, face: str = "0") -> None:
    tracks = steadyface.Tracks.load(source)
    if face not in map(str, tracks.face_ids):
        raise ConfigError(f"face {face} is not in {source}, which holds {tracks.face_ids}")
    data = json.dumps(animation(tracks.of_face(int(face))))
    write_text(out, SCRIPT.replace("{data}", data))
    print(out)


if __name__ == "__main__":
    run_script(main, __doc__)
