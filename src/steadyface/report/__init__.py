"""The page that a person looks at after tracking: `steadyface report CLIP|TRACKS`."""

from steadyface.report.writing import PAGE, report_clip, report_tracks

__all__ = ["PAGE", "report_clip", "report_tracks"]
