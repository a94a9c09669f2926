"""Taking credentials out, one by one or all at once, and bringing a whole wallet back.

Exports are plain: whoever has the file can read it. A backup is the whole wallet sealed under a passphrase, made and
read back before the command says that it is there. Restoring puts a wallet where there is none; one that is in the way
is only moved aside, never overwritten.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from node.core.baking import bake, default_png, default_svg, image_kind
from node.core.canonical.rdfc import Canonicalizer
from node.core.envelope import enveloped, read_envelope
from node.core.errors import BonafidesError, Conflict, Malformed, Misconfigured, Unavailable
from node.core.strict_json import Json, JsonObject
from wallet.disclose import ENTROPY_BYTES, base_proof_in, whole
from wallet.holdings import Holding, show_only
from wallet.store import FILE_NAME, Disk, WalletStore, open_backup, write_whole

_DATA_URL: Final = {"image/png": "png", "image/svg+xml": "svg"}


class Format(StrEnum):
    """What a credential is exported as. Own is as it was issued; JSON envelops what is a token."""

    OWN = "own"
    JSON = "json"
    BUNDLE = "bundle"
    PNG = "png"
    SVG = "svg"


def encode_export(
    holding: Holding, form: Format, canonicalizer: Canonicalizer, evidence: Iterable[str] = ()
) -> bytes:
    """The bytes of an export. `evidence` are the names of the items that go along with a bundle.

    Own and JSON are the credential alone. An image carries it in the place that Open Badges names, and the bundle,
    where one is held, in ours. Images are for others to look at: of a base proof, which is for its holder alone, they
    carry what is derived from it, all of it shown.
    """
    names = tuple(evidence)
    if form in (Format.OWN, Format.JSON):
        if names:
            raise Malformed("evidence travels in the bundle: export as bundle, png or svg")
        return _own(holding) if form is Format.OWN else _pretty(_as_json(holding.credential))
    if form is Format.BUNDLE:
        bundle = show_only(holding.full_bundle(), names)
        return _pretty(bundle.to_json())
    shown = holding.credential
    if base_proof_in(holding.document) is not None:
        entropy = secrets.token_bytes(ENTROPY_BYTES)
        shown = whole(shown, holding.shown, canonicalizer, entropy, holding.secrets)
    beside = None
    if holding.bundle is not None:
        beside = _compact(holding.loose_bundle(names, shown).to_json())
    elif names:
        holding.full_bundle()  # says that there is none
    return bake(picture_of(holding, form), shown if isinstance(shown, str) else _compact(shown), beside)


def _own(holding: Holding) -> bytes:
    envelope = holding.shown.envelope
    if envelope is None:
        return _pretty(holding.credential)
    token = envelope.token
    return token if isinstance(token, bytes) else token.encode() + b"\n"


def _as_json(credential: JsonObject | str) -> JsonObject:
    if isinstance(credential, dict):
        return credential
    envelope = read_envelope(credential)
    if envelope is None or not envelope.media_type.startswith("application/vc"):
        raise Malformed("this token has no form in JSON: export it as it is (own)")
    return enveloped(envelope)


def picture_of(holding: Holding, form: Format) -> bytes:
    """The badge's own picture where it stands in the credential itself; nothing is fetched. Else one drawn here."""
    subject = holding.document.get("credentialSubject")
    achievement = subject.get("achievement") if isinstance(subject, dict) else None
    places = [holding.document.get("image")]
    if isinstance(achievement, dict):
        places.append(achievement.get("image"))
    for image in places:
        data = _data_of(image.get("id") if isinstance(image, dict) else image)
        if data is not None and image_kind(data) == form:
            return data
    return default_png() if form is Format.PNG else default_svg(holding.name)


def check_target(path: Path, *, replace: bool) -> None:
    """Conflict where the file exists, unless it may be replaced; Misconfigured where its folder does not."""
    if path.exists() and not replace:
        raise Conflict(f"{path} exists: choose another name, or say --replace")
    if not path.parent.is_dir():
        raise Misconfigured(f"there is no folder {path.parent}")


def save_file(path: Path, data: bytes, *, replace: bool) -> None:
    """Write an export whole; as `check_target` otherwise."""
    check_target(path, replace=replace)
    # A name that nobody has yet: a neighbour's file of any fixed name would be lost.
    write_whole(Disk(), path, data, new=path.with_name(f".{secrets.token_hex(8)}.new"))


def save_backup(store: WalletStore, path: Path, passphrase: str, *, replace: bool) -> None:
    """The whole wallet in one sealed file, which was opened again before this returns."""
    save_file(path, store.sealed_image(passphrase), replace=replace)
    try:
        open_backup(path, passphrase)
    except BonafidesError as error:
        raise Unavailable(f"the backup in {path} cannot be read back: {error.detail}") from error


def restore(
    backup: Path, folder: Path, backup_passphrase: str, passphrase: str, now: datetime, *, replace: bool
) -> tuple[WalletStore, Path | None]:
    """A wallet in `folder` out of a backup; also where the wallet went that stood there, if one did.

    The backup is opened and looked through before anything is moved.
    """
    image = open_backup(backup, backup_passphrase)
    current, aside = folder / FILE_NAME, None
    if current.exists():
        if not replace:
            raise Conflict(f"there is a wallet in {folder} already: with --replace it is moved aside")
        # Under its lock, and only if it is what it seems: another command may be writing it.
        WalletStore.check_unused(folder)
        aside = folder / f"{FILE_NAME}.before-{now:%Y%m%dT%H%M%SZ}"
        if aside.exists():
            raise Conflict(f"{aside} exists: wait a second")
        current.rename(aside)
    try:
        return WalletStore.restore(folder, image, passphrase), aside
    except BaseException:
        if aside is not None and not current.exists():
            aside.rename(current)
        raise


def _data_of(url: Json) -> bytes | None:
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, comma, text = url[5:].partition(",")
    if not comma or head.partition(";")[0].lower() not in _DATA_URL:
        return None
    try:
        if head.endswith(";base64"):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return unquote_to_bytes(text)


def _pretty(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
