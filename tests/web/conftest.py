"""What tests of the web applications may ask for."""

from __future__ import annotations

from fixtures.school import empty_database, learner, school, standards
from fixtures.served import served, world

__all__ = ["empty_database", "learner", "school", "served", "standards", "world"]
