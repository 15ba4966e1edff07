"""Stories of a trader: quotes by company, orders and what becomes of them, the account, the watchlist."""

from __future__ import annotations

from typing import Any

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone

TRADING = "TradingBot"
PHRASES = read_phrases("trading")


class Depot:
    """An account with orders and a watchlist, on a market that is open."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = story.sometimes(0.25)
        self.order = 0
        self.prices = {name: values.price(rng) for name in rng.sample(tuple(codes.symbols()), 7)}
        self.watched = [codes.symbols()[name] for name in list(self.prices)[:2]]
        # Ids of which no two begin with the same three digits.
        self.orders = [rng.randint(0, 99) + 100 * start for start in rng.sample(range(100, 980), story.many(2, 4, 26))]
        story.world(
            TRADING,
            orders={str(number): self._order(number) for number in self.orders},
            account_info={"account_id": rng.randint(10_000, 99_999), "balance": float(rng.randint(40_000, 90_000))},
            authenticated=self.logged_in,
            market_status="Open",
            order_counter=rng.randint(98_000, 99_900),
            stocks={codes.symbols()[name]: self._stock(price) for name, price in self.prices.items()},
            watch_list=list(self.watched),
            random_seed=rng.randint(1, 999_999),
        )

    def enter(self) -> None:
        """In the turn that has begun: the user logs in, unless that was done."""
        if not self.logged_in:
            self.story.log_in("trading_login", self.user, self.password)
            self.logged_in = True

    def account(self) -> None:
        self.story.say(PHRASES["account"])
        self.enter()
        self.story.call("get_account_info")

    def deposit(self) -> None:
        amount = 50 * self.story.rng.randint(3, 99)
        self.story.say(PHRASES["deposit"], amount=amount)
        self.enter()
        self.story.call("fund_account", amount=amount)

    def withdraw(self) -> None:
        amount = 50 * self.story.rng.randint(3, 99)
        self.story.say(PHRASES["withdraw"], amount=amount)
        self.enter()
        self.story.call("withdraw_funds", amount=amount)

    def details(self) -> None:
        self.story.say(PHRASES["details"])
        self.story.call("get_order_details", order_id=self.order)

    def cancel(self) -> None:
        self.story.say(PHRASES["cancel"])
        self.story.call("cancel_order", order_id=self.order)

    def watch_list(self) -> None:
        self.story.say(PHRASES["watched"])
        self.enter()
        self.story.call("get_watchlist")

    def watch(self) -> None:
        company = self.story.rng.choice(list(self.prices)[2:])
        self.story.say(PHRASES["watch"], company=company)
        self.story.call("add_to_watchlist", stock=self.symbol_of(company))

    def unwatch(self) -> None:
        symbol = self.story.rng.choice(self.watched)
        self.story.say(PHRASES["unwatch"], symbol=symbol)
        self.enter()
        self.story.call("remove_stock_from_watchlist", symbol=symbol)

    def symbol_of(self, company: str) -> str:
        return self.story.look_up("get_symbol_by_name", "symbol", name=company)

    def _order(self, number: int) -> dict[str, Any]:
        rng = self.story.rng
        symbol = codes.symbols()[rng.choice(tuple(self.prices))]
        fields = {"price": values.price(rng), "amount": rng.randint(2, 60), "status": "Open"}
        return {"id": number, "order_type": "Buy", "symbol": symbol, **fields}

    def _stock(self, price: float) -> dict[str, float]:
        change = self.story.rng.randint(-90, 90) / 100
        return {"price": price, "percent_change": change, "volume": 1.5, "MA(5)": price, "MA(20)": price}


@storyline(TRADING)
def trade_quote(story: StoryBuilder) -> None:
    depot = Depot(story)
    company, amount = story.rng.choice(tuple(depot.prices)), story.rng.randint(2, 40)
    story.say(PHRASES["quote"], company=company)
    symbol = depot.symbol_of(company)
    price = story.call("get_stock_info", symbol=symbol)["price"]
    if story.length > 1:
        story.say(PHRASES["buy_at_it"], amount=amount)
        depot.enter()
        bought = story.call("place_order", order_type="Buy", symbol=symbol, price=price, amount=amount)
        depot.order = bought["order_id"]
    story.go_on([depot.details, depot.account], [depot.cancel])


@storyline(TRADING)
def trade_order(story: StoryBuilder) -> None:
    depot = Depot(story)
    symbol = codes.symbols()[story.rng.choice(tuple(depot.prices))]
    order = {"symbol": symbol, "price": values.price(story.rng), "amount": story.rng.randint(2, 40)}
    side = story.rng.choice(("Buy", "Sell"))
    story.say(PHRASES["order"], side=side, **order)
    depot.enter()
    depot.order = story.call("place_order", order_type=side, **order)["order_id"]
    story.go_on([depot.details, depot.account, depot.deposit], [depot.cancel])


@storyline(TRADING)
def trade_account(story: StoryBuilder) -> None:
    depot = Depot(story)
    begin, *then = story.rng.sample([depot.account, depot.deposit, depot.withdraw], 3)
    begin()
    story.go_on([*then, depot.watch])


@storyline(TRADING)
def trade_watch(story: StoryBuilder) -> None:
    depot = Depot(story)
    depot.watch_list()
    story.go_on([depot.watch, depot.unwatch, depot.account])


@storyline(TRADING, can_crowd=True)
def trade_history(story: StoryBuilder) -> None:
    depot = Depot(story)
    story.say(PHRASES["orders"])
    depot.enter()
    story.call("get_order_history")
    order = story.rng.choice(depot.orders)
    story.say(PHRASES["cancel_starting"], start=order // 100)
    story.call("cancel_order", order_id=order)
    story.go_on([depot.account, depot.deposit, depot.withdraw])


@storyline(TRADING, MESSAGES, can_crowd=True)
def trade_message(story: StoryBuilder) -> None:
    depot, phone = Depot(story), Phone(story)
    depot.logged_in = True
    story.initial_state[TRADING]["authenticated"] = True
    story.rng.choice((depot.deposit, depot.withdraw, depot.account))()
    if story.crowded:
        phone.view_and_act()
    else:
        phone.send(story.rng.choice(phone.others))
        story.go_on([phone.send_too, phone.view])


STORYLINES: tuple[Storyline, ...] = (
    trade_quote,
    trade_order,
    trade_account,
    trade_watch,
    trade_history,
    trade_message,
)
