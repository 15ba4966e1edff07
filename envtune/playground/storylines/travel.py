"""Stories of a traveler: what flights cost, booking and what follows from it, cards, tokens and money."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.storylines.messages import MESSAGES, Phone
from envtune.playground.storylines.tickets import TICKETS, TicketDesk
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

TRAVEL = "TravelAPI"
CURRENCIES = ("EUR", "RMB", "JPY", "CAD", "AUD", "INR", "MXN")

COST = phrase(
    [
        "What does a flight from {start} to {end} cost on {date} in {level} class?",
        "[Tell|Show] me the price of a flight: {start} to {end}, {date}, {level} class.",
        "On {date} I want to fly in {level} class from {start} to {end}. What does it cost?",
    ],
    ["How much is a {level} class flight to {end} from {start} on {date}?"],
    ["I fly from {start} to {end} in {level} class. Tell me what that costs on {date}."],
    gap(
        "date",
        "date",
        [
            "What does a flight from {start} to {end} cost in {level} class?",
            "[Tell|Show] me the price of a flight: {start} to {end}, {level} class.",
        ],
        ["How much is a {level} class flight to {end} from {start}?"],
        ["I fly from {start} to {end} in {level} class. Tell me what that costs."],
    ),
)
BOOK_IT = phrase(
    [
        "Book [it|that flight] with the card '{card}'. [The|My] access token is '{token}'.",
        "My access token is '{token}'. Book that flight and pay with the card '{card}'.",
        "That flight should be booked, paid with the card '{card}'. [The|My] access token is '{token}'.",
    ],
    ["I want that flight booked: card '{card}', access token '{token}'."],
    ["With the access token '{token}' and the card '{card}', book the flight."],
    gap(
        "card",
        "card",
        ["Book [it|that flight]. [The|My] access token is '{token}'."],
        ["I want that flight booked: access token '{token}'."],
        ["With the access token '{token}', book the flight."],
    ),
)
BOOK = phrase(
    [
        "Book a flight in {level} class from {start} to {end} on {date}. "
        "Pay with the card '{card}'. [The|My] access token is '{token}'.",
        "My token is '{token}' and my card '{card}'. Book me a flight on {date}: {start} to {end}, {level} class.",
    ],
    ["I want to fly to {end} from {start} on {date}, {level} class. Book that: card '{card}', token '{token}'."],
    ["With the token '{token}' and the card '{card}', book this flight: {start} to {end}, {level} class, {date}."],
    gap(
        "date",
        "date",
        ["Book a flight in {level} class from {start} to {end}. Pay with '{card}'. [The|My] token is '{token}'."],
        ["I want to fly to {end} from {start}, {level} class. Book that: card '{card}', token '{token}'."],
        ["With the access token '{token}' and the card '{card}', book this flight: {start} to {end}, {level} class."],
    ),
)
INVOICE = phrase(
    ["[Show|Get] me the invoice [for|of] [it|that booking].", "I need the invoice of [that|the] booking."],
    ["I want to see the invoice for that booking."],
    ["What does the invoice of that booking say?"],
)
INSURE = phrase(
    [
        "[Buy|Get] '{kind}' insurance for {cost} dollars for [it|that booking], with the same card.",
        "Insure that booking: '{kind}' insurance, {cost} dollars, same card.",
    ],
    ["I want a '{kind}' insurance for that booking at {cost} dollars, paid with the same card."],
    ["That booking needs an insurance of {cost} dollars: '{kind}', with the same card."],
    gap(
        "cost",
        "cost in dollars",
        ["[Buy|Get] '{kind}' insurance for [it|that booking], with the same card."],
        ["I want a '{kind}' insurance for that booking, paid with the same card."],
        ["That booking needs an insurance: '{kind}', with the same card."],
    ),
)
SUPPORT = phrase(
    [
        "[Write|Send] '{text}' to [the |]customer support about [it|that booking].",
        "Contact the customer support about that booking: '{text}'.",
    ],
    ["I want the customer support to get this about that booking: '{text}'."],
    ["About that booking, tell the customer support '{text}'."],
    gap(
        "text",
        "message",
        ["Contact the customer support about [it|that booking]."],
        ["I want the customer support to get a message about that booking."],
        ["About that booking, tell the customer support something."],
    ),
)
CANCEL = phrase(
    ["Cancel [it|that booking].", "I changed my mind. Cancel that flight."],
    ["I want that booking cancelled."],
    ["That flight should be cancelled."],
)
CANCEL_KNOWN = phrase(
    [
        "Cancel the booking '{booking}'. My access token is '{token}'.",
        "With the access token '{token}', cancel my booking '{booking}'.",
    ],
    ["I want the booking '{booking}' cancelled: access token '{token}'."],
    ["The access token is '{token}', and the booking '{booking}' should be cancelled."],
    gap(
        "booking",
        "booking",
        ["Cancel [one of my bookings|a booking]. My access token is '{token}'."],
        ["I want a booking cancelled: access token '{token}'."],
        ["The access token is '{token}', and a booking should be cancelled."],
    ),
)
BALANCE_FIRST = phrase(
    ["What is [on|in] my card '{card}'?", "[Show|Tell] me the balance of the card '{card}'."],
    ["I want to know the balance of my card '{card}'."],
    ["How much is on the card '{card}'? Tell me."],
    gap(
        "card",
        "card",
        ["What is on my card?", "[Show|Tell] me the balance of a card."],
        ["I want to know the balance of my card."],
        ["How much is on the card? Tell me."],
    ),
)
SIGN_IN = phrase(
    [
        "I am {first} {last}: client '{client}', secret '{secret}', refresh token '{refresh}', grant '{grant}'.",
        "Sign in {first} {last}: refresh token '{refresh}', client '{client}', secret '{secret}', grant '{grant}'.",
    ],
    ["The login of {first} {last}: client '{client}', secret '{secret}', refresh token '{refresh}', grant '{grant}'."],
    ["For {first} {last}: grant '{grant}', client '{client}', secret '{secret}', refresh token '{refresh}'."],
)
BALANCE = phrase(
    ["What is the balance of [that|the] card now?", "[Show|Tell] me the balance of [that|the] card."],
    ["I want to know the balance of that card now."],
    ["How much is on that card now? Tell me."],
)
BUDGET = phrase(
    ["Set my [travel |]budget to {amount} dollars.", "My budget [limit |]is {amount} dollars. Set [it|that]."],
    ["I want a budget limit of {amount} dollars."],
    ["A limit of {amount} dollars for my budget, please."],
    gap(
        "amount",
        "amount",
        ["Set [my|a] budget.", "I need a budget limit. Set it."],
        ["I want a budget limit."],
        ["A limit for my budget, please."],
    ),
)
EXCHANGE = phrase(
    [
        "[What are|How much is] {amount} {base} in {target}?",
        "[Convert|Exchange] {amount} {base} to {target}.",
        "How many {target} do I get for {amount} {base}?",
    ],
    ["I want to know {amount} {base} in {target}."],
    ["Tell me how much {target} I get for {amount} {base}."],
    gap(
        "amount",
        "amount",
        ["How many {target} do I get for my {base}?", "[Convert|Exchange] my {base} to {target}."],
        ["I want to know my {base} in {target}."],
        ["Tell me how much {target} I get for my {base}."],
    ),
)
BUDGET_OF_IT = phrase(
    [
        "Set my budget to that amount. My access token is '{token}'.",
        "With the access token '{token}', set a budget limit of that amount.",
    ],
    ["I want that amount as my budget limit: access token '{token}'."],
    ["The access token is '{token}', and that amount should be the limit of my budget."],
)
AIRPORT = phrase(
    [
        "Which airport is nearest to {city}?",
        "[Find|Look for] the airport [near|of] {city}.",
        "What is the nearest airport of {city}?",
    ],
    ["I want to know the airport that is nearest to {city}."],
    ["Tell me the airport near {city}."],
    gap(
        "city",
        "city",
        ["Which airport is nearest to my city?", "Find the airport near a city."],
        ["I want to know the airport that is nearest to a city."],
        ["Tell me the airport near my city."],
    ),
)


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
