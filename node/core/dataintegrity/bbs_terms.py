"""The terms under which credentials are issued with bbs-2023 (FORMATS.md section 3), so that nothing links their uses.

The proof itself links nothing; what is shown with it does, where it differs from holder to holder: an id, a date, a
status entry. So these credentials have no status entry and live shortly instead, from one epoch's begin to another's.
Epochs begin on Mondays at 00:00 UTC: all that were issued in one week, whenever in it, have the same dates.

Not told here, because no single document shows it: that all holders of one kind of credential are signed by the same
key, and that their documents have the same shape (members, and number of values), since a derived proof tells how
many statements there are and where those shown stand among them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp

MAX_VALIDITY: Final = timedelta(days=31)
_WEEK: Final = timedelta(weeks=1)
MAX_WEEKS: Final = MAX_VALIDITY // _WEEK
"""How many whole epochs a credential lives at most."""
# 1970-01-01 was a Thursday.
_FIRST_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
# All that a proof of an unlinkable credential may say; `created` only as the begin of its epoch.
_OPTIONS: Final = frozenset(
    {"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue", "created", "@context"}
)

# What says who the subject is: an id, or Open Badges' IdentityObjects.
_OF_THE_SUBJECT: Final = ("id", "identifier")


def epoch_of(moment: datetime) -> datetime:
    """The begin of the epoch that `moment` is in."""
    return moment - (moment - _FIRST_MONDAY) % _WEEK


def validity_of(moment: datetime, weeks: int = MAX_WEEKS) -> tuple[str, str]:
    """`validFrom` and `validUntil` of a credential that is issued at `moment`, as long as `weeks` (1 to 4)."""
    if not 1 <= weeks <= MAX_WEEKS:
        raise ValueError(f"such credentials are valid for 1 to {MAX_WEEKS} weeks")
    begin = epoch_of(moment)
    return format_datetime_stamp(begin), format_datetime_stamp(begin + weeks * _WEEK)


def broken_terms(credential: JsonObject, *, end_is_mandatory: bool) -> tuple[str, ...]:
    """What a credential, whole or shown in part, has that breaks the terms: a sentence each; none where it keeps them.

    `end_is_mandatory` says whether the issuer made `validUntil` mandatory; of a whole document it is the caller's
    choice of pointers.
    """
    broken = []
    if "credentialStatus" in credential:
        broken.append("a status entry tells its credential apart")
    if not end_is_mandatory:
        broken.append("validUntil is not mandatory")
    begin, end = (_epoch_begin(credential.get(member)) for member in ("validFrom", "validUntil"))
    if begin is None or end is None:
        broken.append("validFrom and validUntil are not both Mondays, 00:00:00Z")
    elif not timedelta() < end - begin <= MAX_VALIDITY:
        broken.append(f"it is not valid for at most {MAX_VALIDITY.days} days")
    return tuple(broken)


def linking_members(credential: JsonObject, options: JsonObject) -> tuple[str, ...]:
    """What would link the presentations of a credential that is about to be signed with the proof `options`.

    JSON Pointers to ids of its own and of its subject (hashed ones too: they are as unique, and can be guessed), and
    names of proof options; none where it can be issued.
    """
    found = ["/id"] if "id" in credential else []
    subjects = credential.get("credentialSubject")
    for index, subject in enumerate(subjects if type(subjects) is list else [subjects]):
        place = f"/credentialSubject/{index}" if type(subjects) is list else "/credentialSubject"
        if type(subject) is dict:
            found += [f"{place}/{name}" for name in _OF_THE_SUBJECT if name in subject]
    found += sorted(options.keys() - _OPTIONS)
    if "created" in options and options["created"] != credential.get("validFrom"):
        found.append("created")
    return tuple(found)


def _epoch_begin(text: Json) -> datetime | None:
    """The begin of an epoch that `text` writes in the one form for it, or None."""
    if type(text) is not str:
        return None
    try:
        moment = parse_datetime_stamp(text)
    except Malformed:
        return None
    # Any other spelling of the same moment would mark a credential.
    return moment if epoch_of(moment) == moment and format_datetime_stamp(moment) == text else None
