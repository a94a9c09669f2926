"""The demo: a sample course of an invented school, and what it takes to run the whole story on one machine."""

from __future__ import annotations
