"""`bonafides issuer`: the school's command line. Every command is safe to run again.

Results go to stdout, progress and the rest to stderr. What an interrupted command began is gone on with by the same
command, by `issuer anchor`, or by a running `issuer serve`.
"""

from __future__ import annotations

import click

from node.commands.issuer_close import close
from node.commands.issuer_doctor import doctor
from node.commands.issuer_erase import erase
from node.commands.issuer_init import init
from node.commands.issuer_issue import anchor, issue, renew
from node.commands.issuer_keys import key, token
from node.commands.issuer_link import link
from node.commands.issuer_publish_list import publish_list
from node.commands.issuer_record import export, status
from node.commands.issuer_serve import serve
from node.commands.issuer_status import message, reinstate, revoke, suspend
from node.commands.issuer_witness import witness
from node.commands.issuer_writer import replace_writer


@click.group()
def issuer() -> None:
    """Issue, anchor, revoke and suspend credentials; serve wallets.

    \b
    A first credential:
        bonafides issuer init --name "My school" --url https://school.example --did key
        bonafides issuer issue --template template.json --cohort cohort.csv --evidence evidence/
    """


for _command in (
    init,
    issue,
    anchor,
    renew,
    revoke,
    suspend,
    reinstate,
    message,
    erase,
    publish_list,
    key,
    token,
    close,
    doctor,
    status,
    export,
    serve,
    witness,
    link,
):
    issuer.add_command(_command)
key.add_command(replace_writer)
