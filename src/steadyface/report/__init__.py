"""The page that a person looks at after tracking: `steadyface report CLIP|TRACKS`."""

from steadyface.report.writing import report_clip, report_tracks

__all__ = ["report_clip", "report_tracks"]
