"""The issuers of `fixtures.issuers`, for every test in this folder."""

from __future__ import annotations

from fixtures.issuers import made_school, make_cohort, paper, school, standards, store

__all__ = ["made_school", "make_cohort", "paper", "school", "standards", "store"]
