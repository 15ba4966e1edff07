"""Stories of a trader: quotes by company, orders, the account, the watchlist."""

from __future__ import annotations

from typing import Any

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone

TRADING = "TradingBot"
PHRASES = read_phrases("trading")


class Trader:
    """A trader with an account, orders and a watchlist, on an open market."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = story.sometimes(0.25)
        self.order = 0
        self.prices = {name: values.price(rng) for name in rng.sample(tuple(codes.symbols()), 7)}
        self.watched = [codes.symbols()[name] for name in list(self.prices)[:2]]
        # Ids that differ in their first three digits, by which a user names them.
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
        """Add a login to the current turn unless the user is logged in."""
        if not self.logged_in:
            self.story.log_in("trading_login", self.user, self.password)
            self.logged_in = True

    def account(self) -> None:
        """Ask for the account's details."""
        self.story.say(PHRASES["account"])
        self.enter()
        self.story.call("get_account_info")

    def deposit(self) -> None:
        """Ask to deposit money."""
        amount = 50 * self.story.rng.randint(3, 99)
        self.story.say(PHRASES["deposit"], amount=amount)
        self.enter()
        self.story.call("fund_account", amount=amount)

    def withdraw(self) -> None:
        """Ask to withdraw money."""
        amount = 50 * self.story.rng.randint(3, 99)
        self.story.say(PHRASES["withdraw"], amount=amount)
        self.enter()
        self.story.call("withdraw_funds", amount=amount)

    def details(self) -> None:
        """Ask for the details of the order."""
        self.story.say(PHRASES["details"])
        self.story.call("get_order_details", order_id=self.order)

    def cancel(self) -> None:
        """Ask to cancel the order."""
        self.story.say(PHRASES["cancel"])
        self.story.call("cancel_order", order_id=self.order)

    def watch_list(self) -> None:
        """Ask for the watchlist."""
        self.story.say(PHRASES["watched"])
        self.enter()
        self.story.call("get_watchlist")

    def watch(self) -> None:
        """Ask to add a company to the watchlist."""
        company = self.story.rng.choice(list(self.prices)[2:])
        self.story.say(PHRASES["watch"], company=company)
        self.story.call("add_to_watchlist", stock=self.symbol_of(company))

    def unwatch(self) -> None:
        """Ask to remove a symbol from the watchlist."""
        symbol = self.story.rng.choice(self.watched)
        self.story.say(PHRASES["unwatch"], symbol=symbol)
        self.enter()
        self.story.call("remove_stock_from_watchlist", symbol=symbol)

    def symbol_of(self, company: str) -> str:
        """Return the symbol of a company, which is looked up in the current turn."""
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
    """Get a quote by company name, then buy at it."""
    trader = Trader(story)
    company, amount = story.rng.choice(tuple(trader.prices)), story.rng.randint(2, 40)
    story.say(PHRASES["quote"], company=company)
    symbol = trader.symbol_of(company)
    price = story.call("get_stock_info", symbol=symbol)["price"]
    if story.length > 1:
        story.say(PHRASES["buy_at_it"], amount=amount)
        trader.enter()
        bought = story.call("place_order", order_type="Buy", symbol=symbol, price=price, amount=amount)
        trader.order = bought["order_id"]
    story.go_on([trader.details, trader.account], [trader.cancel])


@storyline(TRADING)
def trade_order(story: StoryBuilder) -> None:
    """Place an order at a given price, then look after it."""
    trader = Trader(story)
    symbol = codes.symbols()[story.rng.choice(tuple(trader.prices))]
    order = {"symbol": symbol, "price": values.price(story.rng), "amount": story.rng.randint(2, 40)}
    side = story.rng.choice(("Buy", "Sell"))
    story.say(PHRASES["order"], side=side, **order)
    trader.enter()
    trader.order = story.call("place_order", order_type=side, **order)["order_id"]
    story.go_on([trader.details, trader.account, trader.deposit], [trader.cancel])


@storyline(TRADING)
def trade_account(story: StoryBuilder) -> None:
    """Look at the account and move money."""
    trader = Trader(story)
    begin, *then = story.rng.sample([trader.account, trader.deposit, trader.withdraw], 3)
    begin()
    story.go_on([*then, trader.watch])


@storyline(TRADING)
def trade_watch(story: StoryBuilder) -> None:
    """Look at the watchlist, then change it."""
    trader = Trader(story)
    trader.watch_list()
    story.go_on([trader.watch, trader.unwatch, trader.account])


@storyline(TRADING, can_crowd=True)
def trade_history(story: StoryBuilder) -> None:
    """List the orders, then cancel one by the beginning of its id."""
    trader = Trader(story)
    story.say(PHRASES["orders"])
    trader.enter()
    story.call("get_order_history")
    order = story.rng.choice(trader.orders)
    story.say(PHRASES["cancel_starting"], start=order // 100)
    story.call("cancel_order", order_id=order)
    story.go_on([trader.account, trader.deposit, trader.withdraw])


@storyline(TRADING, MESSAGES, can_crowd=True)
def trade_message(story: StoryBuilder) -> None:
    """Look at the account or move money, then send a message."""
    trader, phone = Trader(story), Phone(story)
    trader.logged_in = True
    story.initial_state[TRADING]["authenticated"] = True
    story.rng.choice((trader.deposit, trader.withdraw, trader.account))()
    phone.act()


STORYLINES: tuple[Storyline, ...] = (
    trade_quote,
    trade_order,
    trade_account,
    trade_watch,
    trade_history,
    trade_message,
)
