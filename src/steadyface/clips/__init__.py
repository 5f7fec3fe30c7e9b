"""Track one input and write its tables and its overlay: the work of `steadyface track` for each INPUT.

- `work`: `track_clip`.
- `overlay_file`: the overlay as a video, or as pictures.
- `crops`: steady crops of faces or mouths as videos.
- `results`: names of results, so that those of two inputs are never mixed.
- `summary`: figures, files and problems of one input.
"""

from steadyface.clips.crops import CROPS, check_crops, crop_of, crops_folder, write_crops
from steadyface.clips.overlay_file import Drawing
from steadyface.clips.results import check_clip, check_names, choose_names, find_results, open_clip
from steadyface.clips.summary import ClipSummary
from steadyface.clips.work import track_clip

__all__ = [
    "CROPS",
    "ClipSummary",
    "Drawing",
    "check_clip",
    "check_crops",
    "check_names",
    "choose_names",
    "crop_of",
    "crops_folder",
    "find_results",
    "open_clip",
    "track_clip",
    "write_crops",
]
