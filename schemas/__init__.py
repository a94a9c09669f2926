"""Pinned data files of the standards: JSON-LD contexts, JSON Schemas and the table of networks.

Only the standard library is imported here, so that node and wallet can both read the files, from a checkout
or a wheel.
What is returned is bytes as vendored; `node.core` compares them with their digests.
"""

from __future__ import annotations
