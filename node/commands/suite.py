"""`bonafides suite`: the command line that the W3C's suite for VC-JOSE-COSE drives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FEATURES = ("jose", "sdjwt", "cose")


@click.group()
def suite() -> None:
    """Answer interoperability suites; for HTTP see `bonafides verifier serve --suite`."""


@suite.group("jose-cose")
def jose_cose() -> None:
    """Secure one document with a given key, or judge one token, as the suite for VC-JOSE-COSE asks."""


def _options(command: Any) -> Any:
    names = [f"{document}_{form}" for document in ("credential", "presentation") for form in _FEATURES]
    for option in (
        click.option(
            "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where the result goes."
        ),
        click.option("--feature", type=click.Choice(names), required=True, help="What is secured, and how."),
        click.option(
            "--key",
            type=_FILE,
            required=True,
            help="Verification method: publicKeyJwk, secretKeyJwk to sign.",
        ),
        click.option("--input", "source", type=_FILE, required=True, help="The document, or the token."),
    ):
        command = option(command)
    return command


@jose_cose.command()
@_options
@click.option("--sd", metavar="JSON", help="Array of paths that the holder may withhold: a.b, a.c[0].")
def issue(source: Path, key: Path, feature: str, output: Path | None, sd: str | None) -> None:
    """Secure the JSON document in --input; the result is a token, COSE in base64."""
    from node.commands.loading import load_standards, read_file  # noqa: PLC0415
    from node.core.strict_json import parse_json, parse_json_object  # noqa: PLC0415
    from node.services.suite import tokens  # noqa: PLC0415

    def secure() -> str:
        paths = parse_json(sd.encode()) if sd else []
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise click.BadParameter("an array of texts", param_hint="--sd")
        method = tokens.parse_method(parse_json_object(read_file(key)))
        document = parse_json_object(read_file(source))
        kind = tokens.Feature(feature)
        return tokens.issue(kind, document, method, paths, load_standards().canonicalizer)

    _tell(secure, output)


@jose_cose.command()
@_options
def verify(source: Path, key: Path, feature: str, output: Path | None) -> None:
    """Judge the token in --input by --key alone; the result is its document."""
    from node.commands.loading import load_standards, read_file  # noqa: PLC0415
    from node.core.strict_json import JsonObject, parse_json_object  # noqa: PLC0415
    from node.services.suite import tokens  # noqa: PLC0415

    def judge() -> JsonObject:
        method = tokens.parse_method(parse_json_object(read_file(key)))
        text = read_file(source).decode("utf-8", "replace")
        kind = tokens.Feature(feature)
        return tokens.verify(kind, text, method, load_standards().canonicalizer).document

    _tell(judge, output)


def _tell(work: Any, output: Path | None) -> None:
    """`{"result", "data"}`, in the file or on standard output; a refusal is a result like any other."""
    import orjson  # noqa: PLC0415

    from node.core.errors import Malformed, Misconfigured, NotVerified, Unavailable  # noqa: PLC0415

    try:
        body = {"result": "success", "data": work()}
    except (Malformed, NotVerified) as error:
        body = {"result": "failure", "data": error.detail}
    except Unavailable as error:
        body = {"result": "indeterminate", "data": error.detail}
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if output is None:
        click.echo(text.decode(), nl=False)
        return
    try:
        output.write_bytes(text)
    except OSError as error:
        raise Misconfigured(f"{output}: {error.strerror}") from error
