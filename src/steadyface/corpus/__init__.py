"""Many videos on Ray: one table each, a manifest of all; resumable, and a bad video costs itself alone."""

from steadyface.corpus.manifest import JOURNAL
from steadyface.corpus.options import CorpusOptions
from steadyface.corpus.run import CorpusSummary, track_corpus

__all__ = ["JOURNAL", "CorpusOptions", "CorpusSummary", "track_corpus"]
