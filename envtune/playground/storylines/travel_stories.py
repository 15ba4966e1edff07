"""Stories of a traveler: costs of flights, bookings, cards, tokens and money."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone
from envtune.playground.storylines.ticket_stories import TICKETS, TicketDesk

TRAVEL = "TravelAPI"
CURRENCIES = ("EUR", "RMB", "JPY", "CAD", "AUD", "INR", "MXN")


class Trip(Scene):
    """A traveler with a card, a booking and, unless ``signed_out``, an access token."""

    phrases = read_phrases("travel")

    def __init__(self, story: StoryBuilder, signed_out: bool = False) -> None:
        super().__init__(story)
        rng = story.rng
        self.token = values.secret(rng)
        self.card = f"card_{rng.randint(1000, 9999)}"
        self.first, self.last = rng.choice(values.FIRST_NAMES), rng.choice(values.LAST_NAMES)
        self.start, self.end = rng.choice(codes.routes())
        self.date, self.level = values.date(rng), rng.choice(("economy", "business", "first"))
        self.slots = {"start": self.start, "end": self.end, "date": self.date, "level": self.level}
        self.booking = str(rng.randint(1_000_000, 9_999_999))
        flight = {"travel_date": self.date, "travel_from": "SFO", "travel_to": "LAX", "travel_class": self.level}
        paid = {"travel_cost": 200.0, "transaction_id": str(rng.randint(10_000_000, 99_999_999))}
        token = {} if signed_out else {"access_token": self.token, "token_expires_in": 3600, "token_type": "Bearer"}
        story.world(
            TRAVEL,
            random_seed=rng.randint(1, 999_999),
            credit_card_list={self.card: {"cardholder_name": self.last, "balance": float(rng.randint(20_000, 60_000))}},
            booking_record={self.booking: {"card_id": self.card, **flight, **paid}},
            user_first_name=self.first,
            user_last_name=self.last,
            **token,
        )

    def flight(self) -> dict[str, str]:
        """Look up both airports in the current turn; return the flight as arguments of the tools."""
        tool, cities = "get_nearest_airport_by_city", (self.start, self.end)
        start, end = (self.story.look_up(tool, "nearest_airport", location=city) for city in cities)
        return {"travel_from": start, "travel_to": end, "travel_date": self.date, "travel_class": self.level}

    def book(self, flight: dict[str, str]) -> None:
        """Call the booking of a flight in the current turn and keep its id."""
        result = self.story.call("book_flight", access_token=self.token, card_id=self.card, **flight)
        self.booking = result["booking_id"]

    def go_on(self) -> None:
        """Continue with turns about the booking."""
        self.story.go_on([self.invoice, self.insure, self.support, self.balance], [self.cancel])

    def invoice(self) -> None:
        """Ask for the invoice."""
        self.ask("invoice", "retrieve_invoice", access_token=self.token, booking_id=self.booking)

    def insure(self) -> None:
        """Ask to insure the booking."""
        kind, cost = self.rng.choice(("travel", "medical", "luggage")), 10 * self.rng.randint(3, 40)
        what = {"insurance_type": kind, "insurance_cost": cost, "booking_id": self.booking, "card_id": self.card}
        self.ask("insure", "purchase_insurance", {"kind": kind, "cost": cost}, access_token=self.token, **what)

    def support(self) -> None:
        """Ask to write to customer support."""
        text = values.sentence(self.rng)
        self.ask("support", "contact_customer_support", {"text": text}, booking_id=self.booking, message=text)

    def cancel(self) -> None:
        """Ask to cancel the booking."""
        self.ask("cancel", "cancel_booking", access_token=self.token, booking_id=self.booking)

    def cancel_known(self) -> None:
        """Ask to cancel a booking whose id the user gives."""
        slots = {"booking": self.booking, "token": self.token}
        self.ask("cancel_known", "cancel_booking", slots, access_token=self.token, booking_id=self.booking)

    def balance(self) -> None:
        """Ask for the card's balance."""
        self.ask("balance", "get_credit_card_balance", access_token=self.token, card_id=self.card)

    def budget(self) -> None:
        """Ask to set a budget limit."""
        amount = 100 * self.rng.randint(5, 90)
        self.ask("budget", "set_budget_limit", {"amount": amount}, access_token=self.token, budget_limit=amount)

    def airport(self) -> None:
        """Ask for the airport of the destination."""
        self.ask("airport", "get_nearest_airport_by_city", {"city": self.end}, location=self.end)

    def sign_in(self) -> None:
        """Add the credentials to the current turn and get an access token."""
        rng = self.rng
        client, secret, refresh = values.password(rng), values.secret(rng), values.secret(rng)
        grant = rng.choice(("read_write", "read", "write"))
        who = {"client": client, "secret": secret, "refresh": refresh, "grant": grant}
        self.story.add(self.phrases["sign_in"], first=self.first, last=self.last, **who)
        keys = {"client_id": client, "client_secret": secret, "refresh_token": refresh, "grant_type": grant}
        name = {"user_first_name": self.first, "user_last_name": self.last}
        self.token = self.story.first("authenticate_travel", **keys, **name)["access_token"]


@storyline(TRAVEL)
def travel_cost(story: StoryBuilder) -> None:
    """Ask for the cost of a flight, then book it."""
    trip = Trip(story)
    story.say(trip.phrases["cost"], **trip.slots)
    flight = trip.flight()
    story.call("get_flight_cost", **flight)
    if story.length > 1:
        story.say(trip.phrases["book_it"], card=trip.card, token=trip.token)
        trip.book(flight)
        trip.go_on()


@storyline(TRAVEL)
def travel_book(story: StoryBuilder) -> None:
    """Book a flight, then act on the booking."""
    trip = Trip(story)
    story.say(trip.phrases["book"], card=trip.card, token=trip.token, **trip.slots)
    trip.book(trip.flight())
    trip.go_on()


@storyline(TRAVEL)
def travel_token(story: StoryBuilder) -> None:
    """Sign in for the card's balance, then use the token."""
    trip = Trip(story, signed_out=True)
    story.say(trip.phrases["balance_first"], card=trip.card)
    trip.sign_in()
    story.call("get_credit_card_balance", access_token=trip.token, card_id=trip.card)
    story.go_on([trip.budget, trip.airport])


@storyline(TRAVEL)
def travel_money(story: StoryBuilder) -> None:
    """Convert money, then use it as the budget limit."""
    trip = Trip(story)
    target = story.rng.choice(CURRENCIES)
    rate = {"base_currency": "USD", "target_currency": target}
    amount = story.rng.choice(codes.neat(TRAVEL, "compute_exchange_rate", "value", range(200, 2000, 10), **rate))
    slots = {"amount": amount, "base": "USD", "target": target}
    exchanged = trip.ask("exchange", "compute_exchange_rate", slots, value=amount, **rate)["exchanged_value"]
    if story.length > 1:
        slots = {"token": trip.token}
        trip.ask("budget_of_it", "set_budget_limit", slots, access_token=trip.token, budget_limit=exchanged)
    story.go_on([trip.airport])


@storyline(TRAVEL, TICKETS, can_crowd=True)
def travel_ticket(story: StoryBuilder) -> None:
    """Cancel a booking or look up an airport, then act on a ticket."""
    trip, desk = Trip(story), TicketDesk(story)
    story.rng.choice((trip.cancel_known, trip.airport))()
    desk.find()
    story.go_on([desk.read])


@storyline(TRAVEL, MESSAGES, can_crowd=True)
def travel_message(story: StoryBuilder) -> None:
    """Cancel a booking or look up an airport, then send a message."""
    trip, phone = Trip(story), Phone(story)
    story.rng.choice((trip.cancel_known, trip.airport))()
    phone.act()
