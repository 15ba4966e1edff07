"""Hints for the ticket tools (BFCL's TicketAPI): the session, ticket ids, states and fields."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, given_as_text, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

BY_TICKET_ID = ("get_ticket", "close_ticket", "resolve_ticket", "edit_ticket")
LIST_TICKETS = (
    "`get_user_tickets` lists the user's tickets with their ids.",
    "The id is given out when a ticket is created.",
)
READ_TICKET = ("`get_ticket` shows its present state.", "The user may mean another one.")


def _invalid_fields(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    fields = quoted(match["fields"].split(", "))
    return f"{fields} cannot be edited: the document of `{call.name}` lists the fields that can."


def _empty(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    empty = [name for name in ("username", "password") if not call.arguments.get(name)]
    return f"Nobody was logged in, because {quoted(empty)} {'is' if len(empty) == 1 else 'are'} empty."


RULES: tuple[Rule, ...] = (
    Rule(
        name="ticket.not_logged_in",
        tools=("create_ticket", "get_user_tickets"),
        pattern=r"User not authenticated",
        kind=HintKind.DEPENDENCY,
        text="`{tool}` needs a logged-in user, and nobody is logged in to the ticket system.",
        directions=(
            "`ticket_login` opens a session; its credentials are the user's to give.",
            "A session has to be opened first.",
        ),
    ),
    Rule(
        name="ticket.id_is_text",
        tools=BY_TICKET_ID,
        pattern=r"Ticket with ID .* not found",
        text="Ticket ids are whole numbers, and you gave '{ticket_id}' as text.",
        directions=LIST_TICKETS,
        when=given_as_text("ticket_id"),
    ),
    Rule(
        name="ticket.unknown",
        tools=BY_TICKET_ID,
        pattern=r"Ticket with ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="There is no ticket with the id {ticket_id}.",
        directions=LIST_TICKETS,
    ),
    Rule(
        name="ticket.state_reached",
        tools=("close_ticket", "resolve_ticket"),
        pattern=r"is already (?P<state>closed|resolved)",
        text="The ticket is {state} already, so nothing was changed.",
        directions=READ_TICKET,
    ),
    Rule(
        name="ticket.invalid_fields",
        tools=("edit_ticket",),
        pattern=r"Invalid fields for update: (?P<fields>[^\"]*)",
        text=_invalid_fields,
    ),
    Rule(
        name="ticket.empty_credentials",
        tools=("ticket_login",),
        pattern=r'"success": false',
        text=_empty,
        directions=("The user has to supply what is missing.",),
    ),
    Rule(
        name="ticket.nobody_to_log_out",
        tools=("logout",),
        pattern=r'"success": false',
        text="Nobody is logged in to the ticket system, so there is nobody to log out.",
        directions=(
            "`ticket_get_login_status` shows this at any time.",
            "If the user means another system, look for its own tool.",
        ),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"Priority must be between 1 and 5": "gives the range",
}
