"""Stories of a trader: quotes by company, orders and what becomes of them, the account, the watchlist."""

from __future__ import annotations

from typing import Any

from envtune.playground import codes, values
from envtune.playground.phrases.trading import (
    ACCOUNT,
    BUY_AT_IT,
    CANCEL,
    CANCEL_STARTING,
    DEPOSIT,
    DETAILS,
    ORDER,
    ORDERS,
    QUOTE,
    UNWATCH,
    WATCH,
    WATCHED,
    WITHDRAW,
)
from envtune.playground.storylines.messages import MESSAGES, Phone
from envtune.playground.tale import Storyline, Tale, storyline

TRADING = "TradingBot"


class Depot:
    """An account with orders and a watchlist, on a market that is open."""

    def __init__(self, tale: Tale) -> None:
        self.tale = tale
        rng = tale.rng
        self.user, self.password = values.user_name(rng), values.password(rng)
        self.logged_in = tale.sometimes(0.25)
        self.order = 0
        self.prices = {name: values.price(rng) for name in rng.sample(tuple(codes.symbols()), 7)}
        self.watched = [codes.symbols()[name] for name in list(self.prices)[:2]]
        # Ids of which no two begin with the same three digits.
        self.orders = [rng.randint(0, 99) + 100 * start for start in rng.sample(range(100, 980), tale.many(2, 4, 26))]
        tale.world(
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
            self.tale.log_in("trading_login", self.user, self.password)
            self.logged_in = True

    def account(self) -> None:
        self.tale.say(ACCOUNT)
        self.enter()
        self.tale.call("get_account_info")

    def deposit(self) -> None:
        amount = 50 * self.tale.rng.randint(3, 99)
        self.tale.say(DEPOSIT, amount=amount)
        self.enter()
        self.tale.call("fund_account", amount=amount)

    def withdraw(self) -> None:
        amount = 50 * self.tale.rng.randint(3, 99)
        self.tale.say(WITHDRAW, amount=amount)
        self.enter()
        self.tale.call("withdraw_funds", amount=amount)

    def details(self) -> None:
        self.tale.say(DETAILS)
        self.tale.call("get_order_details", order_id=self.order)

    def cancel(self) -> None:
        self.tale.say(CANCEL)
        self.tale.call("cancel_order", order_id=self.order)

    def watch_list(self) -> None:
        self.tale.say(WATCHED)
        self.enter()
        self.tale.call("get_watchlist")

    def watch(self) -> None:
        company = self.tale.rng.choice(list(self.prices)[2:])
        self.tale.say(WATCH, company=company)
        self.tale.call("add_to_watchlist", stock=self.symbol_of(company))

    def unwatch(self) -> None:
        symbol = self.tale.rng.choice(self.watched)
        self.tale.say(UNWATCH, symbol=symbol)
        self.enter()
        self.tale.call("remove_stock_from_watchlist", symbol=symbol)

    def symbol_of(self, company: str) -> str:
        return self.tale.look_up("get_symbol_by_name", "symbol", name=company)

    def _order(self, number: int) -> dict[str, Any]:
        rng = self.tale.rng
        symbol = codes.symbols()[rng.choice(tuple(self.prices))]
        fields = {"price": values.price(rng), "amount": rng.randint(2, 60), "status": "Open"}
        return {"id": number, "order_type": "Buy", "symbol": symbol, **fields}

    def _stock(self, price: float) -> dict[str, float]:
        change = self.tale.rng.randint(-90, 90) / 100
        return {"price": price, "percent_change": change, "volume": 1.5, "MA(5)": price, "MA(20)": price}


@storyline(TRADING)
def trade_quote(tale: Tale) -> None:
    depot = Depot(tale)
    company, amount = tale.rng.choice(tuple(depot.prices)), tale.rng.randint(2, 40)
    tale.say(QUOTE, company=company)
    symbol = depot.symbol_of(company)
    price = tale.call("get_stock_info", symbol=symbol)["price"]
    if tale.length > 1:
        tale.say(BUY_AT_IT, amount=amount)
        depot.enter()
        bought = tale.call("place_order", order_type="Buy", symbol=symbol, price=price, amount=amount)
        depot.order = bought["order_id"]
    tale.go_on([depot.details, depot.account], [depot.cancel])


@storyline(TRADING)
def trade_order(tale: Tale) -> None:
    depot = Depot(tale)
    symbol = codes.symbols()[tale.rng.choice(tuple(depot.prices))]
    order = {"symbol": symbol, "price": values.price(tale.rng), "amount": tale.rng.randint(2, 40)}
    side = tale.rng.choice(("Buy", "Sell"))
    tale.say(ORDER, side=side, **order)
    depot.enter()
    depot.order = tale.call("place_order", order_type=side, **order)["order_id"]
    tale.go_on([depot.details, depot.account, depot.deposit], [depot.cancel])


@storyline(TRADING)
def trade_account(tale: Tale) -> None:
    depot = Depot(tale)
    begin, *then = tale.rng.sample([depot.account, depot.deposit, depot.withdraw], 3)
    begin()
    tale.go_on([*then, depot.watch])


@storyline(TRADING)
def trade_watch(tale: Tale) -> None:
    depot = Depot(tale)
    depot.watch_list()
    tale.go_on([depot.watch, depot.unwatch, depot.account])


@storyline(TRADING, can_crowd=True)
def trade_history(tale: Tale) -> None:
    depot = Depot(tale)
    tale.say(ORDERS)
    depot.enter()
    tale.call("get_order_history")
    order = tale.rng.choice(depot.orders)
    tale.say(CANCEL_STARTING, start=order // 100)
    tale.call("cancel_order", order_id=order)
    tale.go_on([depot.account, depot.deposit, depot.withdraw])


@storyline(TRADING, MESSAGES, can_crowd=True)
def trade_message(tale: Tale) -> None:
    depot, phone = Depot(tale), Phone(tale)
    depot.logged_in = True
    tale.initial_state[TRADING]["authenticated"] = True
    tale.rng.choice((depot.deposit, depot.withdraw, depot.account))()
    if tale.crowded:
        phone.view_and_act()
    else:
        phone.send(tale.rng.choice(phone.others))
        tale.go_on([phone.send_too, phone.view])


STORYLINES: tuple[Storyline, ...] = (
    trade_quote,
    trade_order,
    trade_account,
    trade_watch,
    trade_history,
    trade_message,
)
