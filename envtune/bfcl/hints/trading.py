"""Hints for the trading tools (BFCL's TradingBot): the session, symbols against company names, orders, funds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from envtune.environment.augmentation.rule import Condition, Readable, Rule, given_as_text, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

NO_SYMBOL = "Stock not found"
UNKNOWN_SYMBOL = r"Stock with symbol|Invalid stock symbol|not found in watchlist"
FIND_SYMBOL = (
    "Another tool, `get_symbol_by_name`, finds the symbol of a company.",
    "`get_available_stocks` lists the symbols of a sector.",
    "Check its spelling with the user.",
)
FIND_ANOTHER_WAY = (
    "The symbols of a sector can be listed with `get_available_stocks`.",
    "Check the company's name with the user.",
)
WRITTEN_SMALL = "'{%s}' is not written like a symbol: the letters of symbols are capitals."
SHOW_ORDERS = ("`get_order_history` lists the ids of the orders.", "The id is given out when an order is placed.")


def _is_date(text: object) -> bool:
    try:
        datetime.strptime(str(text), "%Y-%m-%d")
    except ValueError:
        return False
    return True


def _dates(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    given = [call.arguments[end] for end in ("start_date", "end_date") if call.arguments.get(end)]
    wrong = [date for date in given if not _is_date(date)]
    return f"Dates are written as YYYY-MM-DD without a time, and you gave {quoted(wrong or given)}."


def _is_symbol(argument: str, small: bool = False) -> Condition:
    """Return a condition that is True if ``argument`` is a stock's symbol; with ``small``, one in other letters."""

    def holds(call: ToolCall, match: re.Match[str], world: Readable) -> bool:
        given, stocks = str(call.arguments.get(argument)), world.view["TradingBot"].stocks
        return given.upper() in stocks and given not in stocks if small else given in stocks

    return holds


RULES: tuple[Rule, ...] = (
    Rule(
        name="trading.not_logged_in",
        tools=(
            "place_order",
            "withdraw_funds",
            "get_account_info",
            "fund_account",
            "remove_stock_from_watchlist",
            "get_watchlist",
            "get_order_history",
            "get_transaction_history",
        ),
        pattern=r"User not authenticated",
        kind=HintKind.DEPENDENCY,
        text="`{tool}` needs a logged-in user, and nobody is logged in to the trading system.",
        directions=(
            "`trading_login` opens a session; its credentials are the user's to give.",
            "A session has to be opened first.",
        ),
    ),
    Rule(
        name="trading.symbol_not_found",
        tools=("get_stock_info", "place_order", "remove_stock_from_watchlist"),
        pattern=UNKNOWN_SYMBOL,
        kind=HintKind.DEPENDENCY,
        text=f"'{NO_SYMBOL}' is not a symbol: it stands for a company whose symbol was not found.",
        directions=FIND_ANOTHER_WAY,
        when=lambda call, match, world: call.arguments.get("symbol") == NO_SYMBOL,
    ),
    Rule(
        name="trading.symbol_in_small_letters",
        tools=("get_stock_info", "place_order", "remove_stock_from_watchlist"),
        pattern=UNKNOWN_SYMBOL,
        text=WRITTEN_SMALL % "symbol",
        when=_is_symbol("symbol", small=True),
    ),
    Rule(
        name="trading.unknown_symbol",
        tools=("get_stock_info", "place_order"),
        pattern=r"Stock with symbol|Invalid stock symbol",
        kind=HintKind.DEPENDENCY,
        text="'{symbol}' is not the symbol of a stock that is traded here; a company's name is not one.",
        directions=FIND_SYMBOL,
    ),
    Rule(
        name="trading.order_id_is_text",
        tools=("get_order_details", "cancel_order"),
        pattern=r"Order with ID .* not found",
        text="Order ids are whole numbers, and you gave '{order_id}' as text.",
        directions=SHOW_ORDERS,
        when=given_as_text("order_id"),
    ),
    Rule(
        name="trading.unknown_order",
        tools=("cancel_order",),
        pattern=r"Order with ID .* not found",
        kind=HintKind.DEPENDENCY,
        text="There is no order with the id {order_id}.",
        directions=SHOW_ORDERS,
    ),
    Rule(
        name="trading.order_completed",
        tools=("cancel_order",),
        pattern=r"already completed",
        text="The order {order_id} has been carried out, and only orders that have not can be cancelled.",
        directions=(
            "`get_order_details` shows the status of an order; the user may mean another.",
            "The user may mean another order.",
        ),
    ),
    Rule(
        name="trading.market_closed",
        tools=("withdraw_funds",),
        pattern=r"Market is closed",
        text="Money moves only while the market is open, and it is closed now: no other argument changes that.",
        directions=("Tell the user, or go on with what does not depend on it.",),
    ),
    Rule(
        name="trading.withdrawal_too_large",
        tools=("withdraw_funds",),
        pattern=r"Insufficient funds for withdrawal",
        kind=HintKind.DEPENDENCY,
        text="The account holds less than the {amount} to be withdrawn.",
        directions=("`get_account_info` shows the balance.", "Ask the user for another amount."),
    ),
    Rule(
        name="trading.stock_not_on_watchlist",
        tools=("remove_stock_from_watchlist",),
        pattern=r"not found in watchlist",
        text="The stock '{symbol}' is not on the watchlist, so there is nothing to remove.",
        directions=("`get_watchlist` shows what is on it.", "The user may mean another one."),
        when=_is_symbol("symbol"),
    ),
    Rule(
        name="trading.not_on_watchlist",
        tools=("remove_stock_from_watchlist",),
        pattern=r"not found in watchlist",
        kind=HintKind.DEPENDENCY,
        text="'{symbol}' is not on the watchlist, which holds symbols and no company names.",
        directions=("`get_watchlist` shows what is on it.", *FIND_SYMBOL),
    ),
    Rule(
        name="trading.date_form",
        tools=("get_transaction_history",),
        pattern=r"does not match format|unconverted data",
        text=_dates,
    ),
)

NON_ANSWERS: tuple[Rule, ...] = (
    Rule(
        name="trading.symbol_for_name",
        tools=("get_symbol_by_name",),
        pattern=rf'"symbol": "{NO_SYMBOL}"',
        text="'{name}' is a symbol already, and `{tool}` finds the symbols of companies by their names.",
        directions=(
            "Symbols, in capital letters, are what `get_stock_info` and the other tools for stocks take.",
            "The other tools for stocks take symbols, in capital letters.",
        ),
        when=lambda call, match, world: str(call.arguments.get("name")).upper() in world.view["TradingBot"].stocks,
    ),
    Rule(
        name="trading.company_without_symbol",
        tools=("get_symbol_by_name",),
        pattern=rf'"symbol": "{NO_SYMBOL}"',
        text="No company of exactly this name is on record; the name on record may be longer or shorter.",
        directions=FIND_ANOTHER_WAY,
    ),
    Rule(
        name="trading.unknown_sector",
        tools=("get_available_stocks",),
        pattern=r'"stock_list": \[\]',
        text="No sector is called '{sector}' here.",
        directions=("Sectors are written as in the tool's document: a single word with a capital letter.",),
    ),
    Rule(
        name="trading.stock_in_small_letters",
        tools=("add_to_watchlist",),
        pattern=r'"watchlist":',
        text="Nothing was added: " + WRITTEN_SMALL % "stock",
        when=_is_symbol("stock", small=True),
    ),
    Rule(
        name="trading.not_added",
        tools=("add_to_watchlist",),
        pattern=r'"watchlist":',
        kind=HintKind.DEPENDENCY,
        text="Nothing was added: '{stock}' is not the symbol of a stock that is traded here.",
        directions=FIND_SYMBOL,
        when=lambda call, match, world: call.arguments.get("stock") not in world.view["TradingBot"].watch_list,
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"Here is the list of orders_id": "lists the orders",
    r"KeyError during formatting": "arises inside the tool, whatever the call",
    r"Price and amount must be positive": "names the rule",
    r"Insufficient funds: required": "gives the sum required and the sum available",
    r"Transaction amount must be positive": "names the rule",
    r"Funding amount must be positive": "names the rule",
}
