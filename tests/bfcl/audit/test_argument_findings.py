"""Each claim is a task made by hand, once sound and once with the defect."""

from __future__ import annotations

from typing import Any

from hand_made import call, task, turn

from envtune.bfcl.audit.argument_findings import argument_findings
from envtune.task import Task

USER: dict[str, Any] = {"current_user": "Ada"}
QUEUE = [{"id": 17, "title": "t", "description": "d", "status": "Open", "priority": 1, "created_by": "Ada"}]


def _reasons(audited: Task) -> list[tuple[str, str]]:
    return [(str(finding.reason), finding.subject) for finding in argument_findings(audited)]


def test_an_id_that_a_tool_shows_is_readable_and_one_that_none_shows_is_not() -> None:
    close = turn("Close my ticket.", call("close_ticket", ticket_id=17))
    assert _reasons(task(close, state={**USER, "ticket_queue": QUEUE})) == []
    # Nobody is logged in: no tool lists tickets, though a number can still be tried.
    named = [{**QUEUE[0], "id": "ticket_17"}]
    close = turn("Close my ticket.", call("close_ticket", ticket_id="ticket_17"))
    assert _reasons(task(close, state={"ticket_queue": named})) == [("unreadable_argument", "ticket_17")]


def test_what_a_tool_tells_of_a_name_in_the_message_is_readable() -> None:
    def asked(name: str) -> list[tuple[str, str]]:
        add = call("add_to_watchlist", stock="ZETA")
        return _reasons(task(turn(f"Add {name}'s stock to my watchlist.", add), toolbox="TradingBot"))

    assert asked("Zeta Corp") == []
    assert asked("that company") == [("unreadable_argument", "ZETA")]


def test_a_stated_description_is_found_and_an_invented_one_is_not() -> None:
    message = "Open a ticket 'Lost bag' with the description 'My bag is lost'."
    sound = turn(message, call("create_ticket", title="Lost bag", description="My bag is lost"))
    assert _reasons(task(sound, state=USER)) == []
    invented = "I cannot find my luggage"
    guessed = turn(message, call("create_ticket", title="Lost bag", description=invented))
    assert _reasons(task(guessed, state=USER)) == [("unstated_wording", invented)]


def test_a_description_with_another_full_stop_is_altered() -> None:
    message = "Open a ticket 'Lost bag' with the description 'My bag is lost'."
    altered = turn(message, call("create_ticket", title="Lost bag", description="My bag is lost."))
    assert _reasons(task(altered, state=USER)) == [("altered_wording", "My bag is lost.")]


def test_a_priority_needs_a_number_or_an_extreme_unless_it_is_the_default() -> None:
    def asked(message: str, priority: int) -> list[tuple[str, str]]:
        return _reasons(task(turn(message, call("create_ticket", title="Lost", priority=priority)), state=USER))

    assert asked("Open a ticket 'Lost'.", 1) == []
    assert asked("Open a ticket 'Lost' of priority 4.", 4) == []
    assert asked("Open a ticket 'Lost' of the highest priority.", 5) == []
    assert asked("Open a high-priority ticket 'Lost'.", 4) == [("unstated_choice", "4")]


def test_a_travel_class_has_to_be_named() -> None:
    def asked(message: str) -> list[tuple[str, str]]:
        cost = call(
            "get_flight_cost", travel_from="SFO", travel_to="LAX", travel_date="2026-05-04", travel_class="first"
        )
        return _reasons(task(turn(message, cost), toolbox="TravelAPI"))

    assert asked("What is a flight from SFO to LAX on 2026-05-04, first class?") == []
    assert asked("What is a flight from SFO to LAX on 2026-05-04?") == [("unstated_choice", "first")]


def test_a_value_on_which_the_verdict_does_not_hang_is_not_looked_at() -> None:
    state = {"booking_record": {"b1": {}}, "access_token": "t"}
    contact = call("contact_customer_support", booking_id="b1", message="Nowhere stated words.")
    assert _reasons(task(turn("Contact support for b1.", contact), toolbox="TravelAPI", state=state)) == []


def test_a_number_is_readable_computable_or_neither() -> None:
    def asked(message: str, amount: float) -> list[tuple[str, str]]:
        fill = turn(message, call("fillFuelTank", fuelAmount=amount))
        return _reasons(task(fill, toolbox="VehicleControlAPI", state={"fuelLevel": 10.5}))

    # The tool's document says that the tank holds 50 gallons, and the status that there are 10.5 in it.
    assert asked("Fill the tank.", 39.5) == []
    assert asked("Add 17.3 gallons.", 17.3) == []
    assert asked("Add some fuel.", 17.3) == [("unreadable_argument", "17.3")]
