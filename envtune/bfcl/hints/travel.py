"""Hints for the travel tools (BFCL's TravelAPI): tokens, cards, bookings and budgets. See also airport.py."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

WITH_TOKEN = (
    "register_credit_card",
    "get_credit_card_balance",
    "book_flight",
    "retrieve_invoice",
    "get_booking_history",
    "cancel_booking",
    "set_budget_limit",
    "purchase_insurance",
)
CURRENCIES = ("USD", "RMB", "EUR", "JPY", "GBP", "CAD", "AUD", "INR", "RUB", "BRL", "MXN")
"""Those in the document of ``compute_exchange_rate``."""
AUTHENTICATE = (
    "`authenticate_travel` opens a session and returns the token to pass on.",
    "A session has to be opened first.",
)
SHOW_CARDS = (
    "`get_all_credit_cards` shows what is registered.",
    "`register_credit_card` returns the id of a card that is new here.",
    "An id is given out when a card is registered.",
)
SHOW_BOOKINGS = (
    "`get_booking_history` lists the bookings with their ids.",
    "The id is given out when a flight is booked.",
)


def _unknown_currencies(call: ToolCall) -> list[object]:
    given = [call.arguments.get(name) for name in ("base_currency", "target_currency")]
    return [currency for currency in given if currency not in CURRENCIES]


def _unknown_currency(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    unknown = _unknown_currencies(call)
    return f"{quoted(unknown)} {'is no currency' if len(unknown) == 1 else 'are no currencies'} of `{call.name}`."


RULES: tuple[Rule, ...] = (
    Rule(
        name="travel.not_authenticated",
        tools=WITH_TOKEN,
        pattern=r"Token not initialized|Token expired",
        kind=HintKind.DEPENDENCY,
        text="There is no valid session, so no access token can be accepted now.",
        directions=AUTHENTICATE,
    ),
    Rule(
        name="travel.wrong_token",
        tools=WITH_TOKEN,
        pattern=r"Invalid access token",
        kind=HintKind.DEPENDENCY,
        text="'{access_token}' is not the token of the present session.",
        directions=(
            "Use one the user gave or the one `authenticate_travel` last returned.",
            "Use one that the user or a login gave you.",
        ),
    ),
    Rule(
        name="travel.card_known",
        tools=("register_credit_card",),
        pattern=r"Card already registered",
        text="The card '{card_number}' is registered already and can be used by its id.",
        directions=(SHOW_CARDS[0], SHOW_CARDS[2]),
    ),
    Rule(
        name="travel.card_unknown",
        tools=("book_flight", "purchase_insurance"),
        pattern=r"[Cc]ard not registered",
        kind=HintKind.DEPENDENCY,
        text="'{card_id}' is not the id of a registered card; an id is not the card's number.",
        directions=SHOW_CARDS,
    ),
    Rule(
        name="travel.card_without_balance",
        tools=("book_flight",),
        pattern=r"Balance not found",
        text="No balance is recorded for the card '{card_id}', so it cannot pay.",
        directions=(*SHOW_CARDS[:1], "Another card may be able to."),
    ),
    Rule(
        name="travel.balance_too_low",
        tools=("book_flight",),
        pattern=r"Insufficient funds",
        kind=HintKind.DEPENDENCY,
        text="The fare is more than the balance of the card '{card_id}'.",
        directions=(
            "`get_flight_cost` and `get_credit_card_balance` show both amounts.",
            "Compare the fare with the balance before you choose what to change.",
        ),
    ),
    Rule(
        name="travel.balance_under_budget",
        tools=("book_flight",),
        pattern=r"Balance is less than budget limit",
        kind=HintKind.DEPENDENCY,
        text="No flight is booked while the card's balance is below the budget limit, whatever the fare.",
        directions=(
            "`get_credit_card_balance` shows the one and `set_budget_limit` sets the other, if the user agrees.",
            "Another card or another limit may help, if the user agrees.",
        ),
    ),
    Rule(
        name="travel.over_budget",
        tools=("purchase_insurance",),
        pattern=r"Exceeded budget limit",
        kind=HintKind.DEPENDENCY,
        text="The insurance at {insurance_cost} costs more than the budget limit in force.",
        directions=(
            "`set_budget_limit` can change the limit, if the user agrees.",
            "Check the cost again, or ask the user.",
        ),
    ),
    Rule(
        name="travel.invoice_by_booking",
        tools=("retrieve_invoice",),
        pattern=r"Booking not found",
        text="Invoices are found by the id of a booking, and the call gave none.",
        directions=SHOW_BOOKINGS,
        when=lambda call, match, world: not call.arguments.get("booking_id"),
    ),
    Rule(
        name="travel.booking_unknown",
        tools=("retrieve_invoice", "cancel_booking", "purchase_insurance", "contact_customer_support"),
        pattern=r"Booking not found",
        kind=HintKind.DEPENDENCY,
        text="There is no booking with the id '{booking_id}'.",
        directions=SHOW_BOOKINGS,
    ),
    Rule(
        name="travel.unknown_currency",
        tools=("compute_exchange_rate",),
        pattern=r"No available exchange rate",
        text=_unknown_currency,
        directions=("Its document lists how currencies are written.",),
        when=lambda call, match, world: bool(_unknown_currencies(call)),
    ),
    Rule(
        name="travel.same_currency",
        tools=("compute_exchange_rate",),
        pattern=r"No available exchange rate",
        text="Both currencies are '{base_currency}', so there is nothing to exchange.",
        when=lambda call, match, world: call.arguments.get("base_currency") == call.arguments.get("target_currency"),
    ),
    Rule(
        name="travel.no_exchange_rate",
        tools=("compute_exchange_rate",),
        pattern=r"No available exchange rate",
        text="There is no direct rate between '{base_currency}' and '{target_currency}'.",
        directions=("A third currency can bridge a pair that has no rate.",),
    ),
    Rule(
        name="travel.nobody_to_verify",
        tools=("verify_traveler_information",),
        pattern=r"Expected None None",
        kind=HintKind.DEPENDENCY,
        text="Travelers are compared with the user of the session, and no session has been opened.",
        directions=("`authenticate_travel` opens one.", "It has to be opened first."),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"Invalid travel class": "lists the classes",
    r"Invalid date format": "gives the format",
    r"Card not registered\. Here are a list": "lists the registered cards",
    r"information for another user\.Expected (?!None None)": "says whose name was expected and which was given",
    r"Invalid date of birth format": "gives the format",
    r"Traveler must be at least 18": "a fact about the traveler that no call can change",
    r"Passport must be issued by": "names the only issuer accepted",
}
