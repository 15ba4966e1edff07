"""What users ask for about stocks, orders and an account."""

from __future__ import annotations

from envtune.playground.wording import gap, phrase

QUOTE = phrase(
    [
        "What does [a share|the stock] of {company} cost?",
        "[Tell|Show] me the price of the {company} stock.",
        "How is the stock of {company} [doing|today]?",
        "Tell me what a {company} share costs.",
        "[Can|Could] you [check|look up|find out] [how much|what] a share of {company} costs[ now|]?",
        "I need the [current |]price of [the {company} stock|one share in {company}][, please|].",
        "[The price of {company}|{company}'s stock price], please. "
        "[I may buy some shares|I have to know it|Show it to me].",
        "I [think of buying|am interested in|may invest in] {company}. "
        "[What is the price of a share|How much is one share|What does it cost]?",
        "It is time to [check|look at] {company}: what is [its stock|one of its shares] worth[ now|]?",
        "[I would like|It would help me|It is important for me] to see what [people pay|one has to pay] "
        "for a share of {company}.",
    ],
    ["I want to know what one {company} share costs."],
    ["Look at the stock of {company} and tell me its price."],
    gap(
        "company",
        "company",
        [
            "What does the stock cost?",
            "[Tell|Show] me the price of a stock.",
            "[Can|Could] you [check|look up|find out] [how much|what] a share costs[ now|]?",
            "I need [the [current |]price of a stock|one stock price][, please|].",
            "A stock price, please. [I may buy some shares|I have to know it|Show it to me].",
            "I [think of buying shares|am interested in a company|may invest in a company]. "
            "[What is the price of a share|How much is one share]?",
            "[I would like|It would help me] to see what [people pay|one has to pay] for a certain stock.",
        ],
        ["I want to know what one share costs."],
        ["Look at a stock and tell me its price."],
    ),
)
BUY_AT_IT = phrase(
    [
        "Buy {amount} shares at that price.",
        "At [that|this] price, [get|buy] me {amount} [shares|of them].",
        "[Can|Could] you [buy|get|order] {amount} shares [for me |]at [this|that] price?",
        "I [would like|need|will take] {amount} shares, "
        "[at the price you found|for what they cost now|at this very price].",
        "{amount} shares should be [bought|ordered], [each |]at the price [you told me|that you found].",
        "[It is time to buy|Let us buy|Place a buy order]: {amount} of [them|these shares], at "
        "[the price you found|exactly that price].",
        "My [depot|account] needs {amount} of [these|those] shares. [Order|Get] them at the [current|same] price.",
        "[For|At] what they cost now, {amount} shares would be [good|fine]. [Order|Get] them[, please|].",
    ],
    ["I want to buy {amount} of them for that price."],
    ["That price is good: buy {amount} shares."],
    gap(
        "amount",
        "number of shares",
        [
            "Buy [some|a few] shares at that price.",
            "At [that|this] price, buy me some.",
            "[Can|Could] you [buy|get|order] [some|a few] shares [for me |]at [this|that] price?",
            "I [would like|need|will take] some shares, "
            "[at the price you found|for what they cost now|at this very price].",
            "[Some|A few] shares should be [bought|ordered], [each |]at the price [you told me|that you found].",
            "[It is time to buy|Let us buy|Place a buy order]: some of [them|these shares], at "
            "[the price you found|exactly that price].",
            "My [depot|account] needs some of [these|those] shares. [Order|Get] them at the [current|same] price.",
        ],
        ["I want to buy some of them for that price."],
        ["That price is good: buy me some shares."],
    ),
)
ORDER = phrase(
    [
        "{side} {amount} shares of {symbol} at {price}.",
        "[Place|Make] an order: {side} {amount} {symbol} at a price of {price}.",
        "At a price of {price}, {side} {amount} shares of {symbol}.",
        "[Can|Could] you [place|make|enter] a {side} order for {amount} {symbol} shares at {price}[, please|]?",
        "I [would like|need] to {side} {symbol}: {amount} [shares|of them], at {price} each.",
        "{symbol} at {price}: {side} {amount} [shares|of them][ for me|].",
        "[I need a|There should be a|It is time for a] {side} order, {amount} shares, [stock|symbol] "
        "{symbol}, [each |]at {price}.",
        "The price [should be|is] {price}, the number of shares {amount} and the stock {symbol}. "
        "[The order type is {side}|Make it a {side} order].",
        "My {side} order: the [symbol|stock] is {symbol}, the price {price} and the amount {amount}. [Place|Enter] it.",
    ],
    ["I want an order: {symbol}, {side}, {amount} shares, price {price}."],
    ["Place this order for me: {amount} shares of {symbol} for {price}, {side}."],
    gap(
        "amount",
        "number of shares",
        [
            "{side} shares of {symbol} at {price}.",
            "At a price of {price}, {side} some shares of {symbol}.",
            "[Can|Could] you [place|make|enter] a {side} order for {symbol} shares at {price}[, please|]?",
            "I [would like|need] to {side} {symbol}, at {price} each.",
            "{symbol} at {price}: {side} [some|a few] [shares|of them][ for me|].",
            "[I need a|There should be a|It is time for a] {side} order, [stock|symbol] {symbol}, [each |]at {price}.",
            "The price [should be|is] {price} and the stock {symbol}. "
            "[The order type is {side}|Make it a {side} order].",
            "My {side} order: the [symbol|stock] is {symbol} and the price {price}. [Place|Enter] it.",
        ],
        ["I want an order: {symbol}, {side}, price {price}."],
        ["Place this order for me: shares of {symbol} for {price}, {side}."],
    ),
)
DETAILS = phrase(
    [
        "Show me the details of [that|this] order.",
        "What are the details of my order?",
        "[Can|Could] you [show|give] me the details of [my|this] order?",
        "I [need|would like] the [order's details|details of this order|details on what was ordered][, please|].",
        "[What does the order look like|How does that order look|What is in that order]? "
        "[I need|Give me] [all |]the details.",
        "The details of [this order|my order|the order just placed], please.",
        "It is time to [check|look at] [that|the|my] order. [What are its details?|Give me the details.]",
        "I have to [check|know] what [exactly |]was ordered. Look up the order's details.",
    ],
    ["I want to see the details of that order."],
    ["Tell me the details of the order."],
)
CANCEL = phrase(
    [
        "Cancel [that|the] order.",
        "I changed my mind. Cancel [it|that order].",
        "[Can|Could] you cancel [the|my|this] order[, please|]?",
        "I [do not need|have no use for|do not want] [that|the|this] order any more[. Cancel it|, so cancel it|].",
        "I would like [the|this|my] order to be [cancelled|taken back].",
        "[That|This|My] order [was a mistake|is not needed|is wrong]. "
        "[Take it back|Please cancel it|It has to be cancelled].",
        "It is time to [cancel|take back] [the|that|my] order.",
        "[The|That] order needs to be [cancelled|taken back][, please|].",
    ],
    ["I want that order cancelled."],
    ["That order should be cancelled."],
)
ACCOUNT = phrase(
    [
        "[Show|Tell] me my account [information|details].",
        "What is [on|in] my account?",
        "How much is [on|in] my account?",
        "[Can|Could] you [show|tell|give] me "
        "[the details of my account|my account's details|my balance and account id]?",
        "I [need|would like] [my account information|the details of my account|an overview of my account][, please|].",
        "My account: [how much is there|what is its balance|what does it look like]?",
        "[My account details|The state of my account|My account information], please.",
        "It is time to [check|look at] my account. [What does it say?|How much do I have?|Show it to me.]",
        "I have to know [how much money I have|my balance|how my account is doing]. Look up my account.",
    ],
    ["I want to see what is in my account."],
    ["Give me the information on my account."],
)
DEPOSIT = phrase(
    [
        "[Put|Pay] {amount} into my [trading |]account.",
        "[Add|Fund my account with] {amount} dollars.",
        "My account should get {amount} dollars more. Fund it.",
        "[Can|Could] you [add|move|pay] {amount} dollars [into|to] my [trading |]account?",
        "I [would like|need|have] to [put|pay|deposit] {amount} dollars into the [trading |]account.",
        "My account needs [{amount} dollars more|{amount} more dollars|another {amount} dollars].",
        "{amount} dollars should [go|be paid|be put] into my account[, please|].",
        "[It is time for a|I would like to make a|Please make a] deposit of {amount} dollars[ into my account|].",
        "I have {amount} dollars [to invest|left]. [Deposit|Put] them [in|into] my account.",
    ],
    ["I want to add {amount} dollars to my account."],
    ["Fund the account: {amount} dollars."],
    gap(
        "amount",
        "amount",
        [
            "[Put|Pay] money into my account.",
            "Fund my account.",
            "[Can|Could] you [add|move|pay] [some |]money [into|to] my [trading |]account?",
            "I [would like|need|have] to [put|pay|deposit] money into the [trading |]account.",
            "My account needs [more money|some more dollars|more funds].",
            "[Some|More] money should [go|be paid|be put] into my account[, please|].",
            "[It is time for a|I would like to make a|Please make a] deposit[ into my account|].",
            "I have some dollars [to invest|left]. [Deposit|Put] them [in|into] my account.",
        ],
        ["I want to add money to my account."],
        ["Fund the account, please."],
    ),
)
WITHDRAW = phrase(
    [
        "[Take|Withdraw] {amount} dollars from my account.",
        "Withdraw {amount} [dollars |][for me|now].",
        "[Can|Could] you [withdraw|take] {amount} dollars [from|out of] my [trading |]account?",
        "I would like to [get|take] {amount} dollars [out of|from] the [trading |]account.",
        "{amount} dollars should be [withdrawn|taken] [from my account|out of my account].",
        "[It is time for a|I need a|Please make a] withdrawal of {amount} dollars[ from my account|].",
        "I have to pay {amount} dollars. [Take|Get|Withdraw] them [from|out of] my account.",
        "From my [trading |]account, [take|withdraw|pay out] {amount} dollars[, please|].",
    ],
    ["I want to withdraw {amount} dollars."],
    ["I need {amount} dollars from my account. Withdraw them."],
    gap(
        "amount",
        "amount",
        [
            "[Take|Withdraw] money from my account.",
            "Withdraw some money [for me|now].",
            "[Can|Could] you [withdraw|take] some money [from|out of] my [trading |]account?",
            "I would like to [get|take] some money [out of|from] the [trading |]account.",
            "[Some|A few] dollars should be [withdrawn|taken] [from my account|out of my account].",
            "[It is time for a|I need a|Please make a] withdrawal[ from my account|].",
            "I have to pay something. [Take|Get|Withdraw] the money [from|out of] my account.",
            "From my [trading |]account, [take|withdraw|pay out] some money[, please|].",
        ],
        ["I want to withdraw money."],
        ["I need money from my account. Withdraw some."],
    ),
)
WATCHED = phrase(
    [
        "[Show me|List] my watchlist.",
        "[Which|What] stocks are on my watchlist?",
        "[Can|Could] you [show|tell|give] me [my watchlist|what I have on my watchlist|the stocks that I watch]?",
        "I [need|would like] [my watchlist|a list of the stocks that I watch|the whole watchlist][, please|].",
        "My watchlist: [what does it have|which stocks are there|what is in it]?",
        "[My|The] watchlist, please.",
        "It is time to [check|look at] my watchlist. [What is on it?|Show it to me.]",
        "Which [stocks|companies] [do I watch|am I watching] [now|at the moment]?",
    ],
    ["I want to see the stocks of my watchlist."],
    ["Tell me what is on the watchlist."],
)
WATCH = phrase(
    [
        "[Add|Put] {company} [on|to] my watchlist.",
        "My watchlist should have {company} too. Add it.",
        "[Can|Could] you [add|put] {company} [to|on] the watchlist?",
        "I [would like|have|need] to [watch|keep an eye on] {company}, so [add it to|put it on] the watchlist.",
        "{company} should [be|go] on [my|the] watchlist[, please|].",
        "{company} is [interesting|worth a look]. [Add it to|Put it on] my watchlist.",
        "[It is time to watch|Let us watch|Please watch] {company} [too|as well]: [add it to|put it on] my list.",
        "My watchlist needs [{company}|one more company, {company}].",
    ],
    ["I want {company} to be on my watchlist."],
    ["The watchlist needs {company}. Put it there."],
    gap(
        "company",
        "company",
        [
            "[Add|Put] a company [on|to] my watchlist.",
            "[Can|Could] you [add|put] a company [to|on] the watchlist?",
            "I [would like|have|need] to [watch|keep an eye on] one more company, so [add it to|put it on] "
            "the watchlist.",
            "[Another|One more] company should [be|go] on [my|the] watchlist[, please|].",
            "A company is [interesting|worth a look]. [Add it to|Put it on] my watchlist.",
            "[It is time to watch|Let us watch|Please watch] one more company: [add it to|put it on] my list.",
        ],
        ["I want another company to be on my watchlist."],
        ["The watchlist needs another company. Put it there."],
    ),
)
UNWATCH = phrase(
    [
        "[Remove|Take] {symbol} from my watchlist.",
        "I do not need {symbol} on my watchlist. Remove it.",
        "[Can|Could] you [remove|take|delete] {symbol} from [the|my] watchlist[, please|]?",
        "I [would like|want] {symbol} [removed from|taken off|to be off] the watchlist.",
        "{symbol} [can|may|has to] [be removed from|be taken off|leave] my watchlist.",
        "I [no longer watch|have lost interest in|am done with] {symbol}. [Delete|Remove] it from [the|my] watchlist.",
        "It is time to [take {symbol} off|remove {symbol} from] my watchlist.",
        "My watchlist [no longer needs|has no need for|should be without] {symbol}.",
    ],
    ["{symbol} should not be on my watchlist any more."],
    ["The watchlist does not need {symbol}. Take it from there."],
    gap(
        "symbol",
        "stock symbol",
        [
            "[Remove|Take] a stock from my watchlist.",
            "[Can|Could] you [remove|take|delete] one stock from [the|my] watchlist[, please|]?",
            "I [would like|want] a stock [removed from|taken off|to be off] the watchlist.",
            "One of the stocks [can|may|has to] [be removed from|be taken off|leave] my watchlist.",
            "I [no longer watch|have lost interest in|am done with] one stock. [Delete|Remove] it from "
            "[the|my] watchlist.",
            "It is time to [take a stock off|remove one stock from] my watchlist.",
        ],
        ["One stock should not be on my watchlist any more."],
        ["The watchlist does not need all of these. Take one stock from there."],
    ),
)
ORDERS = phrase(
    [
        "[Show me|List] my orders.",
        "Which orders do I have?",
        "[Show me|List] the ids of all my orders.",
        "[Can|Could] you [show|list|give] me [my orders|all of my orders|every order of mine]?",
        "I [need|would like] [a list of my orders|the ids of my orders|my order history][, please|].",
        "My orders: [which ones are there|what are they|what are their ids]?",
        "[My order history|A list of my orders|The ids of all my orders], please.",
        "It is time to [check|look at|go through] my orders. [Which are they?|List them.]",
        "[What|Which] orders did I [place|make]? [Show|List] them.",
    ],
    ["I want to see all orders that I have."],
    ["Tell me which orders there are."],
)
CANCEL_STARTING = phrase(
    [
        "Cancel the one [that starts with|that begins with] {start}.",
        "I do not need the order that starts with {start}. Cancel it.",
        "[Can|Could] you cancel the order [whose id|with the id that] [starts|begins] with {start}?",
        "I would like to [cancel|take back] the order [starting|beginning] with {start}.",
        "The order [whose id begins with|that begins with] {start} "
        "[has to be cancelled|is not needed|was a mistake]. Take it back.",
        "One of them [starts|begins] with {start}: [cancel that one|take it back|please cancel it].",
        "It is time to cancel the order [whose number starts with|starting with] {start}.",
        "{start} is how the id of the [wrong|old] order [starts|begins]. Cancel [it|that order].",
    ],
    ["I want the one cancelled that begins with {start}."],
    ["The one with {start} at its start should be cancelled."],
    gap(
        "start",
        "start of its id",
        [
            "Cancel one of them.",
            "I do not need one of these orders. Cancel it.",
            "[Can|Could] you cancel [an order|one of my orders|one of the orders]?",
            "I would like to [cancel|take back] [an order|one of these orders].",
            "[An order|One of these orders] [has to be cancelled|is not needed|was a mistake]. Take it back.",
            "One of them is [wrong|old]: [cancel that one|take it back|please cancel it].",
            "It is time to cancel [an order|one of the orders|one of my orders].",
        ],
        ["I want one of them cancelled."],
        ["One of them should be cancelled."],
    ),
)
