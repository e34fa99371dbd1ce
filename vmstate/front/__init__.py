"""The front door: streams opened, edited and saved by path; migrations predicted.

``import vmstate`` provides these names, and imports them when they are first used.
"""

from __future__ import annotations
