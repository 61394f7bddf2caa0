"""Runs side by side: values, curves by step, sources by line; what explains their results on top.

``comparison`` puts the sections together, ``values``, ``curves`` and ``sources`` compare, ``snapshots`` fetches the
sources.
"""

from runfolio.comparing.comparison import Comparison
from runfolio.comparing.sources import ComparedFile, Source
from runfolio.comparing.values import ComparedMetric, ComparedValue, changes

__all__ = ["ComparedFile", "ComparedMetric", "ComparedValue", "Comparison", "Source", "changes"]
