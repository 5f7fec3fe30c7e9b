"""Reports of tracked clips as HTML: `steadyface report`."""

from steadyface.report.writing import PAGE, report_clip, report_tracks

__all__ = ["PAGE", "report_clip", "report_tracks"]
