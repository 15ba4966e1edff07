"""Hints for the message tools (BFCL's MessageAPI): the session, and user ids against user names."""

from __future__ import annotations

from collections.abc import Mapping

from envtune.environment.augmentation.rule import Condition, Rule
from envtune.trajectory import HintKind

FIND_USER = ("Another tool, `get_user_id`, finds the id for a name.", "Check the id with the user.")
LIST_USERS = ("`list_users` shows who is there.", "Check the spelling of the name.")


def _is_name(argument: str) -> Condition:
    """Return a condition that is True if ``argument`` is the name of a user, as ``list_users`` shows it."""
    return lambda call, match, world: str(call.arguments.get(argument)) in world.view["MessageAPI"].user_map


RULES: tuple[Rule, ...] = (
    Rule(
        name="message.not_logged_in",
        tools=("send_message", "delete_message", "view_messages_sent", "search_messages", "get_message_stats"),
        pattern=r"No user is currently logged in",
        kind=HintKind.DEPENDENCY,
        text="`{tool}` works for a logged-in user, and nobody is logged in to the workspace.",
        directions=("`message_login` opens a session for a user id.", "A session has to be opened first."),
    ),
    Rule(
        name="message.id_for_name",
        tools=("get_user_id",),
        pattern=r"not found in the workspace",
        text="'{user}' is a user's id already, and `{tool}` finds the ids of users by their names.",
        directions=("It can be used as it is where an id is asked for.",),
        when=lambda call, match, world: call.arguments.get("user") in world.view["MessageAPI"].user_map.values(),
    ),
    Rule(
        name="message.unknown_user",
        tools=("get_user_id",),
        pattern=r"not found in the workspace",
        kind=HintKind.DEPENDENCY,
        text="No user of the workspace has exactly the name '{user}'.",
        directions=LIST_USERS,
    ),
    Rule(
        name="message.name_for_login",
        tools=("message_login",),
        pattern=r"User ID '.*' not found",
        kind=HintKind.DEPENDENCY,
        text="'{user_id}' is nobody's user id, and a user's name does not count as one.",
        directions=FIND_USER,
        when=_is_name("user_id"),
    ),
    Rule(
        name="message.unknown_login",
        tools=("message_login",),
        pattern=r"User ID '.*' not found",
        kind=HintKind.DEPENDENCY,
        text="'{user_id}' is nobody's user id.",
        directions=FIND_USER,
    ),
    Rule(
        name="message.name_for_receiver",
        tools=("send_message", "delete_message"),
        pattern=r"Receiver ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="'{receiver_id}' is nobody's user id, and a user's name does not count as one.",
        directions=FIND_USER,
        when=_is_name("receiver_id"),
    ),
    Rule(
        name="message.unknown_receiver",
        tools=("send_message",),
        pattern=r"Receiver ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="'{receiver_id}' is nobody's user id.",
        directions=FIND_USER,
    ),
    Rule(
        name="message.nothing_to_delete",
        tools=("delete_message",),
        pattern=r"Receiver ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="No message has gone to a user with the id '{receiver_id}'.",
        directions=("`view_messages_sent` shows the receivers of your messages by id.", *FIND_USER),
    ),
    Rule(
        name="message.contact_exists",
        tools=("add_contact",),
        pattern=r"User name '.*' already exists",
        text="'{user_name}' is a contact already, so there is nothing to add.",
        directions=FIND_USER[:1],
    ),
    Rule(
        name="message.contact_number_taken",
        tools=("add_contact",),
        pattern=r"User ID '.*' already exists",
        text="The workspace numbers contacts itself, and its next number was in use: the name is not at fault.",
        directions=(
            "`list_users` shows whether the contact is there; a later try gets another number.",
            "A later try gets another number.",
        ),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {}
