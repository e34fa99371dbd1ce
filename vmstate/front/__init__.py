"""The front door: streams opened, edited and saved by path; migrations predicted.

``import vmstate`` offers what is here by name, and imports it when it is first used.
"""

from __future__ import annotations
