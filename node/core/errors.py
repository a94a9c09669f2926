"""One root error and a few families, told apart by what the reader can do about them.

Subclasses are made only where somebody acts differently. Every error carries a `Problem`; translation to HTTP
happens in `node/web/problems.py` alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core import problem
from node.core.problem import Problem


class BonafidesError(Exception):
    """Root of everything this project raises on purpose."""

    default_type = problem.ours("error")

    def __init__(self, detail: str, *, type: str | None = None, path: Iterable[str | int] = ()) -> None:
        super().__init__(detail)
        self.problem = Problem(type or self.default_type, detail, tuple(path))

    @property
    def detail(self) -> str:
        """One sentence for a person; never holds secrets or subject data."""
        return self.problem.detail

    @property
    def located(self) -> str:
        """The same, and where in the input."""
        where = "".join(f"/{step}" for step in self.problem.path)
        return f"{self.detail} (at {where})" if where else self.detail


class Malformed(BonafidesError):
    """The input breaks a rule of its format: fix the input."""

    default_type = problem.MALFORMED_VALUE_ERROR


class NotVerified(BonafidesError):
    """A cryptographic or binding check says no: do not trust it."""

    default_type = problem.CRYPTOGRAPHIC_SECURITY_ERROR


class Unavailable(BonafidesError):
    """Something that was asked for could not be had: try again. `asked` names it."""

    default_type = problem.UNAVAILABLE

    def __init__(
        self,
        detail: str,
        *,
        asked: str = "",
        type: str | None = None,
        path: Iterable[str | int] = (),
    ) -> None:
        super().__init__(detail, type=type, path=path)
        self.asked = asked


class Refused(BonafidesError):
    """Not allowed. `code` is the protocol's own error code (OAuth, OpenID4VCI, OpenID4VP)."""

    default_type = problem.REFUSED

    def __init__(
        self,
        detail: str,
        *,
        code: str = "invalid_request",
        type: str | None = None,
        path: Iterable[str | int] = (),
    ) -> None:
        super().__init__(detail, type=type, path=path)
        self.code = code


class NotFound(BonafidesError):
    """There is no such thing here."""

    default_type = problem.NOT_FOUND


class Conflict(BonafidesError):
    """What was asked contradicts what is already recorded."""

    default_type = problem.CONFLICT


class Misconfigured(BonafidesError):
    """The operator must change a setting, a file or a key."""

    default_type = problem.MISCONFIGURED
