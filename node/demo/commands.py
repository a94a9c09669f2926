"""`bonafides demo`: the whole loop on real input, each promise checked."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

import click


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    show_envvar=True,
    help="New folder for all that is made; DIR/out holds files to try other tools on.  [default: a temporary one]",
)
@click.option(
    "--foreign",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A badge of somebody else's, to be judged as well.",
)
@click.option(
    "--transcript", type=click.Path(dir_okay=False, path_type=Path), help="Write what happened as JSON."
)
@click.option("--up", is_flag=True, help="Issue the sample cohort and leave every role running until Ctrl-C.")
@click.pass_context
def demo(
    ctx: click.Context, folder: Path | None, foreign: Path | None, transcript: Path | None, up: bool
) -> None:
    """Show the whole loop: a school issues, learners hold and show, an employer verifies.

    Chain, issuer and verifier run as separate processes on this machine; the wallet is driven by its commands. It
    ends with `demo: N of N expectations held`, and exit status 0 only if all did.
    """
    from rich.console import Console  # noqa: PLC0415 - `--help` needs none of it

    from node.core.errors import BonafidesError, Misconfigured  # noqa: PLC0415
    from node.demo.expectations import Playbill  # noqa: PLC0415
    from node.demo.play import Play  # noqa: PLC0415
    from node.demo.stage import Stage  # noqa: PLC0415

    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise Misconfigured(f"{folder} is not empty: the demo needs a folder of its own")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bonafides-demo-") as temporary:
        stage = Stage((folder or Path(temporary)).resolve())
        bill = Playbill(Console(highlight=False, soft_wrap=True, emoji=False))
        play = Play(stage, bill)
        try:
            if up:
                _leave_open(play, bill)
            else:
                play.perform(foreign)
        except BonafidesError as error:
            bill.expect("the demo goes on", held=False, error=error.detail)
        except (KeyError, IndexError, ValueError, OSError) as error:
            # An answer of another form than was expected is a promise that was not kept, not a fault of the reader's.
            bill.expect("the demo goes on", held=False, error=f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            bill.tell("interrupted")
        finally:
            stage.stop_all()
        all_held = bill.close()
        if transcript is not None:
            transcript.write_text(
                json.dumps(bill.transcript(), indent=1, default=str) + "\n", encoding="utf-8"
            )
        if folder is not None:
            bill.tell(f"files to try other tools on: {stage.out}")
    ctx.exit(0 if all_held else 1)


def _leave_open(play: object, bill: object) -> None:
    """Every role running, its address on the screen, until somebody stops it."""
    from node.demo.expectations import Playbill  # noqa: PLC0415
    from node.demo.play import Play  # noqa: PLC0415

    assert isinstance(play, Play)  # noqa: S101 - narrows for the type checker
    assert isinstance(bill, Playbill)  # noqa: S101
    play.open_house()
    bill.console.print("\n[bold]Running until Ctrl-C:[/bold]")
    for name, url in (
        ("issuer", play.issuer_url),
        ("verifier", play.verifier.url),
        ("chain", play.chain.url),
    ):
        bill.console.print(f"  {name:<9} {url}")
    bill.console.print("\nOffers, to be taken with `bonafides wallet receive --development`:")
    for row, one in play.rows.items():
        bill.console.print(f"  {row}  {one['offer']['uri']}")
    bill.console.print(f"\npassphrase file: {play.stage.passphrase_file}")
    threading.Event().wait()
