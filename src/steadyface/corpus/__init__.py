"""Track many videos on Ray: a table each and a manifest of all; resumable, and a bad video fails alone."""

from steadyface.corpus.manifest import JOURNAL
from steadyface.corpus.run import CorpusSummary, track_corpus

__all__ = ["JOURNAL", "CorpusSummary", "track_corpus"]
