"""QR codes as inline SVG: drawn here, since nothing is loaded from elsewhere."""

from __future__ import annotations

import io

import segno
from markupsafe import Markup


def qr_code(link: str) -> Markup:
    """`link` as an SVG element. Dark on light whatever the theme, with the margin of four modules scanners want."""
    drawing = io.BytesIO()
    # Without style attributes, which the content security policy would refuse.
    segno.make(link, error="m", micro=False).save(
        drawing,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=4,
        light="#fff",
        dark="#000",
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return Markup(drawing.getvalue().decode())  # noqa: S704 - segno draws it, the link is in no text of it
