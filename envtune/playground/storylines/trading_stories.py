"""Stories of a trader: quotes by company, orders, the account, the watchlist."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone

TRADING = "TradingBot"


class Trader(Scene):
    """A trader with an account, orders and a watchlist, on an open market."""

    phrases = read_phrases("trading")
    login = "trading_login"
    behind_login = (
        "fund_account", "get_account_info", "get_order_history", "get_watchlist", "place_order",
        "remove_stock_from_watchlist", "withdraw_funds",
    )  # fmt: skip

    def __init__(self, story: StoryBuilder) -> None:
        super().__init__(story)
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
            orders={
                str(number): {
                    "id": number,
                    "order_type": "Buy",
                    "symbol": self.any_symbol(),
                    "price": values.price(rng),
                    "amount": rng.randint(2, 60),
                    "status": "Open",
                }
                for number in self.orders
            },
            account_info={"account_id": rng.randint(10_000, 99_999), "balance": float(rng.randint(40_000, 90_000))},
            authenticated=self.logged_in,
            market_status="Open",
            order_counter=rng.randint(98_000, 99_900),
            stocks={
                codes.symbols()[name]: {
                    "price": price,
                    "percent_change": rng.randint(-90, 90) / 100,
                    "volume": 1.5,
                    "MA(5)": price,
                    "MA(20)": price,
                }
                for name, price in self.prices.items()
            },
            watch_list=list(self.watched),
            random_seed=rng.randint(1, 999_999),
        )

    def account(self) -> None:
        """Ask for the account's details."""
        self.ask("account", "get_account_info")

    def deposit(self) -> None:
        """Ask to deposit money."""
        amount = {"amount": 50 * self.rng.randint(3, 99)}
        self.ask("deposit", "fund_account", amount, **amount)

    def withdraw(self) -> None:
        """Ask to withdraw money."""
        amount = {"amount": 50 * self.rng.randint(3, 99)}
        self.ask("withdraw", "withdraw_funds", amount, **amount)

    def details(self) -> None:
        """Ask for the details of the order."""
        self.ask("details", "get_order_details", order_id=self.order)

    def cancel(self) -> None:
        """Ask to cancel the order."""
        self.ask("cancel", "cancel_order", order_id=self.order)

    def watch_list(self) -> None:
        """Ask for the watchlist."""
        self.ask("watched", "get_watchlist")

    def watch(self) -> None:
        """Ask to add a company to the watchlist."""
        company = self.rng.choice(list(self.prices)[2:])
        self.story.say(self.phrases["watch"], company=company)
        self.story.call("add_to_watchlist", stock=self.look_up_symbol(company))

    def unwatch(self) -> None:
        """Ask to remove a symbol from the watchlist."""
        symbol = {"symbol": self.rng.choice(self.watched)}
        self.ask("unwatch", "remove_stock_from_watchlist", symbol, **symbol)

    def look_up_symbol(self, company: str) -> str:
        """Return the symbol of a company, which is looked up in the current turn."""
        return self.story.look_up("get_symbol_by_name", "symbol", name=company)

    def any_symbol(self) -> str:
        """Draw one of the symbols."""
        return codes.symbols()[self.rng.choice(tuple(self.prices))]


@storyline(TRADING)
def trade_quote(story: StoryBuilder) -> None:
    """Get a quote by company name, then buy at it."""
    trader = Trader(story)
    company, amount = story.rng.choice(tuple(trader.prices)), story.rng.randint(2, 40)
    story.say(trader.phrases["quote"], company=company)
    symbol = trader.look_up_symbol(company)
    price = story.call("get_stock_info", symbol=symbol)["price"]
    if story.length > 1:
        order = {"order_type": "Buy", "symbol": symbol, "price": price, "amount": amount}
        bought = trader.ask("buy_at_it", "place_order", {"amount": amount}, **order)
        trader.order = bought["order_id"]
    story.go_on([trader.details, trader.account], [trader.cancel])


@storyline(TRADING)
def trade_order(story: StoryBuilder) -> None:
    """Place an order at a given price, then look after it."""
    trader = Trader(story)
    order = {"symbol": trader.any_symbol(), "price": values.price(story.rng), "amount": story.rng.randint(2, 40)}
    side = story.rng.choice(("Buy", "Sell"))
    placed = trader.ask("order", "place_order", {"side": side, **order}, order_type=side, **order)
    trader.order = placed["order_id"]
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
    trader.ask("orders", "get_order_history")
    order = story.rng.choice(trader.orders)
    trader.ask("cancel_starting", "cancel_order", {"start": order // 100}, order_id=order)
    story.go_on([trader.account, trader.deposit, trader.withdraw])


@storyline(TRADING, MESSAGES, can_crowd=True)
def trade_message(story: StoryBuilder) -> None:
    """Look at the account or move money, then send a message."""
    trader, phone = Trader(story), Phone(story)
    trader.logged_in = True
    story.initial_state[TRADING]["authenticated"] = True
    story.rng.choice((trader.deposit, trader.withdraw, trader.account))()
    phone.act()
