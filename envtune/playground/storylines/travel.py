"""Stories of a traveler: what flights cost, booking and what follows from it, cards, tokens and money."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrases.travel import (
    AIRPORT,
    BALANCE,
    BALANCE_FIRST,
    BOOK,
    BOOK_IT,
    BUDGET,
    BUDGET_OF_IT,
    CANCEL,
    CANCEL_KNOWN,
    COST,
    EXCHANGE,
    INSURE,
    INVOICE,
    SIGN_IN,
    SUPPORT,
)
from envtune.playground.storylines.messages import MESSAGES, Phone
from envtune.playground.storylines.tickets import TICKETS, TicketDesk
from envtune.playground.tale import Storyline, Tale, storyline

TRAVEL = "TravelAPI"
CURRENCIES = ("EUR", "RMB", "JPY", "CAD", "AUD", "INR", "MXN")


class Trip:
    """A traveler with a card and, unless ``signed_out``, an access token; and at last a booking."""

    def __init__(self, tale: Tale, signed_out: bool = False) -> None:
        self.tale = tale
        rng = tale.rng
        self.token = values.secret(rng)
        self.card = f"card_{rng.randint(1000, 9999)}"
        self.first, self.last = rng.choice(values.FIRST_NAMES), rng.choice(values.LAST_NAMES)
        self.start, self.end = rng.choice(codes.routes())
        self.date, self.level = values.date(rng), rng.choice(("economy", "business", "first"))
        self.booking = str(rng.randint(1_000_000, 9_999_999))
        old = {
            "card_id": self.card,
            "travel_date": self.date,
            "travel_from": "SFO",
            "travel_to": "LAX",
            "travel_class": self.level,
            "travel_cost": 200.0,
            "transaction_id": str(rng.randint(10_000_000, 99_999_999)),
        }
        token = {} if signed_out else {"access_token": self.token, "token_expires_in": 3600, "token_type": "Bearer"}
        tale.world(
            TRAVEL,
            random_seed=rng.randint(1, 999_999),
            credit_card_list={self.card: {"cardholder_name": self.last, "balance": float(rng.randint(20_000, 60_000))}},
            booking_record={self.booking: old},
            user_first_name=self.first,
            user_last_name=self.last,
            **token,
        )

    def ask_cost(self) -> dict[str, str]:
        """The cost of a flight, and the flight as the tools want it."""
        self.tale.say(COST, start=self.start, end=self.end, date=self.date, level=self.level)
        flight = self.flight()
        self.tale.call("get_flight_cost", **flight)
        return flight

    def flight(self) -> dict[str, str]:
        """In the turn that has begun: both airports are looked up."""
        codes_of = [
            self.tale.look_up("get_nearest_airport_by_city", "nearest_airport", location=city)
            for city in (self.start, self.end)
        ]
        return {
            "travel_from": codes_of[0],
            "travel_to": codes_of[1],
            "travel_date": self.date,
            "travel_class": self.level,
        }

    def book(self, flight: dict[str, str]) -> None:
        result = self.tale.call("book_flight", access_token=self.token, card_id=self.card, **flight)
        self.booking = result["booking_id"]

    def go_on(self) -> None:
        self.tale.go_on([self.invoice, self.insure, self.support, self.balance], [self.cancel])

    def invoice(self) -> None:
        self.tale.say(INVOICE)
        self.tale.call("retrieve_invoice", access_token=self.token, booking_id=self.booking)

    def insure(self) -> None:
        kind, cost = self.tale.rng.choice(("travel", "medical", "luggage")), 10 * self.tale.rng.randint(3, 40)
        self.tale.say(INSURE, kind=kind, cost=cost)
        self.tale.call(
            "purchase_insurance",
            access_token=self.token,
            insurance_type=kind,
            insurance_cost=cost,
            booking_id=self.booking,
            card_id=self.card,
        )

    def support(self) -> None:
        text = values.sentence(self.tale.rng)
        self.tale.say(SUPPORT, text=text)
        self.tale.call("contact_customer_support", booking_id=self.booking, message=text)

    def cancel(self) -> None:
        self.tale.say(CANCEL)
        self.tale.call("cancel_booking", access_token=self.token, booking_id=self.booking)

    def cancel_known(self) -> None:
        self.tale.say(CANCEL_KNOWN, booking=self.booking, token=self.token)
        self.tale.call("cancel_booking", access_token=self.token, booking_id=self.booking)

    def balance(self) -> None:
        self.tale.say(BALANCE)
        self.tale.call("get_credit_card_balance", access_token=self.token, card_id=self.card)

    def budget(self) -> None:
        amount = 100 * self.tale.rng.randint(5, 90)
        self.tale.say(BUDGET, amount=amount)
        self.tale.call("set_budget_limit", access_token=self.token, budget_limit=amount)

    def airport(self) -> None:
        self.tale.say(AIRPORT, city=self.end)
        self.tale.call("get_nearest_airport_by_city", location=self.end)

    def sign_in(self) -> None:
        """In the turn that has begun: the user says who it is, and the agent gets a token."""
        rng = self.tale.rng
        client, secret, refresh = values.password(rng), values.secret(rng), values.secret(rng)
        grant = rng.choice(("read_write", "read", "write"))
        who = {"client": client, "secret": secret, "refresh": refresh, "grant": grant}
        self.tale.add(SIGN_IN, first=self.first, last=self.last, **who)
        self.token = self.tale.first(
            "authenticate_travel",
            client_id=client,
            client_secret=secret,
            refresh_token=refresh,
            grant_type=grant,
            user_first_name=self.first,
            user_last_name=self.last,
        )["access_token"]


@storyline(TRAVEL)
def travel_cost(tale: Tale) -> None:
    trip = Trip(tale)
    flight = trip.ask_cost()
    if tale.length > 1:
        tale.say(BOOK_IT, card=trip.card, token=trip.token)
        trip.book(flight)
        trip.go_on()


@storyline(TRAVEL)
def travel_book(tale: Tale) -> None:
    trip = Trip(tale)
    slots = {"start": trip.start, "end": trip.end, "date": trip.date, "level": trip.level}
    tale.say(BOOK, card=trip.card, token=trip.token, **slots)
    trip.book(trip.flight())
    trip.go_on()


@storyline(TRAVEL)
def travel_token(tale: Tale) -> None:
    trip = Trip(tale, signed_out=True)
    tale.say(BALANCE_FIRST, card=trip.card)
    trip.sign_in()
    tale.call("get_credit_card_balance", access_token=trip.token, card_id=trip.card)
    tale.go_on([trip.budget, trip.airport])


@storyline(TRAVEL)
def travel_money(tale: Tale) -> None:
    trip = Trip(tale)
    target = tale.rng.choice(CURRENCIES)
    rate = {"base_currency": "USD", "target_currency": target}
    amount = tale.rng.choice(codes.neat(TRAVEL, "compute_exchange_rate", "value", range(200, 2000, 10), **rate))
    tale.say(EXCHANGE, amount=amount, base="USD", target=target)
    exchanged = tale.call("compute_exchange_rate", value=amount, **rate)["exchanged_value"]
    if tale.length > 1:
        tale.say(BUDGET_OF_IT, token=trip.token)
        tale.call("set_budget_limit", access_token=trip.token, budget_limit=exchanged)
    tale.go_on([trip.airport])


@storyline(TRAVEL, TICKETS, can_crowd=True)
def travel_ticket(tale: Tale) -> None:
    trip, desk = Trip(tale), TicketDesk(tale)
    tale.rng.choice((trip.cancel_known, trip.airport))()
    desk.find()
    tale.go_on([desk.read])


@storyline(TRAVEL, MESSAGES, can_crowd=True)
def travel_message(tale: Tale) -> None:
    trip, phone = Trip(tale), Phone(tale)
    tale.rng.choice((trip.cancel_known, trip.airport))()
    if tale.crowded:
        phone.view_and_act()
    else:
        phone.send(tale.rng.choice(phone.others))
        tale.go_on([phone.send_too, phone.view])


STORYLINES: tuple[Storyline, ...] = (
    travel_cost,
    travel_book,
    travel_token,
    travel_money,
    travel_ticket,
    travel_message,
)
