"""What users ask for about flights, bookings, cards and money."""

from __future__ import annotations

from envtune.playground.wording import gap, phrase

COST = phrase(
    [
        "What does a flight from {start} to {end} cost on {date} in {level} class?",
        "[Tell|Show] me the price of a flight: {start} to {end}, {date}, {level} class.",
        "On {date} I want to fly in {level} class from {start} to {end}. What does it cost?",
        "[Can|Could] you [tell me|find out|check] what a {level} class flight costs on {date}, from {start} to {end}?",
        "I [need|would like] the price of [a flight|flying] to {end}, [leaving from|starting in] "
        "{start}, in {level} class, on {date}.",
        "[My trip|The trip] goes from {start} to {end} on {date}. [How much is|What is the price of] "
        "[a seat|the flight] in {level} class?",
        "{date}, {start} to {end}, {level} class: "
        "[what does the flight cost?|how much is that flight?|I need the price.]",
        "I [plan|think of|dream of] a flight to {end} on {date}. [What do I pay|What would it cost] from "
        "{start} in {level} class?",
        "In {level} class, [how much do I pay|what do they want] for a flight on {date} from {start} to {end}?",
    ],
    ["How much is a {level} class flight to {end} from {start} on {date}?"],
    ["I fly from {start} to {end} in {level} class. Tell me what that costs on {date}."],
    gap(
        "date",
        "date",
        [
            "What does a flight from {start} to {end} cost in {level} class?",
            "[Tell|Show] me the price of a flight: {start} to {end}, {level} class.",
            "[Can|Could] you [tell me|find out|check] what a {level} class flight costs, from {start} to {end}?",
            "I [need|would like] the price of [a flight|flying] to {end}, [leaving from|starting in] "
            "{start}, in {level} class.",
            "[My trip|The trip] goes from {start} to {end}. [How much is|What is the price of] "
            "[a seat|the flight] in {level} class?",
            "{start} to {end}, {level} class: [what does the flight cost?|how much is that flight?|I need the price.]",
            "In {level} class, [how much do I pay|what do they want] for a flight from {start} to {end}?",
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
        "[Can|Could] you book [it|this flight|me on that flight]? The card is '{card}' and the "
        "[access |]token '{token}'.",
        "I [would like|need|will take] [that|this] flight. [My card is|Pay with] '{card}', and the "
        "access token is '{token}'.",
        "[That price is fine|The price is good|I will take it]: book the flight for me. Token '{token}', "
        "card '{card}'.",
        "The card '{card}' should pay for [the|this] flight. [Book it|Make the booking], my access token is '{token}'.",
        "It is time to book [this flight|the flight]. Access token: '{token}'. Card: '{card}'.",
        "Using my card '{card}', [book|get me] [it|this flight]. For access, [take|use] the token '{token}'.",
    ],
    ["I want that flight booked: card '{card}', access token '{token}'."],
    ["With the access token '{token}' and the card '{card}', book the flight."],
    gap(
        "card",
        "card",
        [
            "Book [it|that flight]. [The|My] access token is '{token}'.",
            "[Can|Could] you book [it|this flight|me on that flight]? The [access |]token is '{token}'.",
            "I [would like|need|will take] [that|this] flight. [The|My] access token is '{token}'.",
            "[That price is fine|The price is good|I will take it]: book the flight for me. "
            "[Token|Access token] '{token}'.",
            "It is time to book [this flight|the flight]. [Access token|Token]: '{token}'.",
            "[Book it|Make the booking|Get me this flight]. For access, [take|use] the token '{token}'.",
        ],
        ["I want that flight booked: access token '{token}'."],
        ["With the access token '{token}', book the flight."],
    ),
)
BOOK = phrase(
    [
        "Book a flight in {level} class from {start} to {end} on {date}. "
        "Pay with the card '{card}'. [The|My] access token is '{token}'.",
        "My token is '{token}' and my card '{card}'. Book me a flight on {date}: {start} to {end}, {level} class.",
        "[Can|Could] you book me a {level} class flight to {end} on {date}, [leaving from|starting in] "
        "{start}? The card is '{card}', the [access |]token '{token}'.",
        "I [need|would like] a flight from {start} to {end}: {date}, {level} class, [paid with|card] "
        "'{card}', access token '{token}'.",
        "On {date} I [have|need] to be in {end}. Book a {level} class flight from {start} with the card "
        "'{card}' and the [access |]token '{token}'.",
        "{start} to {end}, {date}, {level} class: [this flight should be booked|book this flight]. "
        "[Pay|Pay it] with '{card}', my access token is '{token}'.",
        "The card '{card}' [should pay|pays] for a {level} class flight on {date}. It goes to {end} and "
        "starts in {start}. Book it, the token is '{token}'.",
        "My trip from {start} to {end} [needs|still needs] a flight in {level} class on {date}. Token: "
        "'{token}'. Card: '{card}'. [Book it|Make the booking].",
    ],
    ["I want to fly to {end} from {start} on {date}, {level} class. Book that: card '{card}', token '{token}'."],
    ["With the token '{token}' and the card '{card}', book this flight: {start} to {end}, {level} class, {date}."],
    gap(
        "date",
        "date",
        [
            "Book a flight in {level} class from {start} to {end}. Pay with '{card}'. [The|My] token is '{token}'.",
            "[Can|Could] you book me a {level} class flight to {end}, [leaving from|starting in] {start}? "
            "The card is '{card}', the [access |]token '{token}'.",
            "I [need|would like] a flight from {start} to {end}: {level} class, [paid with|card] '{card}', "
            "access token '{token}'.",
            "I [have|need] to be in {end}. Book a {level} class flight from {start} with the card '{card}' "
            "and the [access |]token '{token}'.",
            "{start} to {end}, {level} class: [a flight should be booked|book a flight]. [Pay|Pay it] with "
            "'{card}', my access token is '{token}'.",
            "My trip from {start} to {end} [needs|still needs] a flight in {level} class. Token: '{token}'. "
            "Card: '{card}'. [Book it|Make the booking].",
        ],
        ["I want to fly to {end} from {start}, {level} class. Book that: card '{card}', token '{token}'."],
        ["With the access token '{token}' and the card '{card}', book this flight: {start} to {end}, {level} class."],
    ),
)
INVOICE = phrase(
    [
        "[Show|Get] me the invoice [for|of] [it|that booking].",
        "I need the invoice of [that|the] booking.",
        "[Can|Could] you [show|get|give] me [the|its|that booking's] invoice?",
        "[The invoice for this booking|The booking's invoice|An invoice for what I booked], please.",
        "I would like [to have |][the invoice|an invoice] of [this|my] booking.",
        "My [boss|company|bank] [needs|wants] the invoice [of|for] [this|that] booking. [Show|Get] it.",
        "It is time to [check|look at] the invoice of [that|my] booking.",
        "There should be an invoice for [this|my] booking. [Look it up|Get it for me|Show it].",
    ],
    ["I want to see the invoice for that booking."],
    ["What does the invoice of that booking say?"],
)
INSURE = phrase(
    [
        "[Buy|Get] '{kind}' insurance for {cost} dollars for [it|that booking], with the same card.",
        "Insure that booking: '{kind}' insurance, {cost} dollars, same card.",
        "[Can|Could] you [buy|get|add] a '{kind}' insurance for [that|this] booking? It [may|should] "
        "cost {cost} dollars, on the same card.",
        "I [need|would like] [this|the] booking insured: '{kind}', {cost} dollars, "
        "[the same card again|same card as before].",
        "[This|The] booking should have '{kind}' insurance. It costs {cost} dollars: [pay with|take|use] "
        "the same card.",
        "With the same card, [pay|spend] {cost} dollars on '{kind}' insurance for [this|my] booking.",
        "It is time to insure [this|my] booking. [Pay|Take] {cost} dollars from the same card, the type is '{kind}'.",
        "For {cost} dollars there is '{kind}' insurance. [Buy|Get] it for [this|my] booking, "
        "[the card stays the same|paid by the same card].",
    ],
    ["I want a '{kind}' insurance for that booking at {cost} dollars, paid with the same card."],
    ["That booking needs an insurance of {cost} dollars: '{kind}', with the same card."],
    gap(
        "cost",
        "cost in dollars",
        [
            "[Buy|Get] '{kind}' insurance for [it|that booking], with the same card.",
            "[Can|Could] you [buy|get|add] a '{kind}' insurance for [that|this] booking, on the same card?",
            "I [need|would like] [this|the] booking insured: '{kind}', [the same card again|same card as before].",
            "[This|The] booking should have '{kind}' insurance: [pay with|take|use] the same card.",
            "With the same card, [pay for|get] '{kind}' insurance for [this|my] booking.",
            "It is time to insure [this|my] booking. [Pay|Pay it] from the same card, the type is '{kind}'.",
        ],
        ["I want a '{kind}' insurance for that booking, paid with the same card."],
        ["That booking needs an insurance: '{kind}', with the same card."],
    ),
)
SUPPORT = phrase(
    [
        "[Write|Send] '{text}' to [the |]customer support about [it|that booking].",
        "Contact the customer support about that booking: '{text}'.",
        "[Can|Could] you [write|send|tell] [the |]customer support '{text}', about [this|my] booking?",
        "I [need|have|would like] to [write|send] '{text}' to the customer support, about [this|the] booking.",
        "The customer support should [know|read|hear] this about [my|this] booking: '{text}'.",
        "'{text}': [send|write] that to the customer support, [it is about|the matter is] [this|my] booking.",
        "It is time to [contact|write to] the customer support about [this|my] booking. The message "
        "[is|should be] '{text}'.",
        "I have a problem with [this|that|my] booking. Contact [the |]customer support "
        "[with the message|and say] '{text}'.",
    ],
    ["I want the customer support to get this about that booking: '{text}'."],
    ["About that booking, tell the customer support '{text}'."],
    gap(
        "text",
        "message",
        [
            "Contact the customer support about [it|that booking].",
            "[Can|Could] you [write|send|say] something to [the |]customer support, about [this|my] booking?",
            "I [need|have|would like] to [write|send] a message to the customer support, about [this|the] booking.",
            "The customer support should [know|read|hear] something about [my|this] booking.",
            "[Send|Write] a message to the customer support, [it is about|the matter is] [this|my] booking.",
            "It is time to [contact|write to] the customer support about [this|my] booking.",
        ],
        ["I want the customer support to get a message about that booking."],
        ["About that booking, tell the customer support something."],
    ),
)
CANCEL = phrase(
    [
        "Cancel [it|that booking].",
        "I changed my mind. Cancel that flight.",
        "[Can|Could] you cancel [the|my|this] [booking|flight][, please|]?",
        "I [do not need|cannot take|will not take] [that|this] flight any more[. Cancel it|, so cancel the booking].",
        "I would like to [cancel|take back] [the|this] [booking|flight].",
        "[My plans have changed|I have to stay at home|The trip is off], so "
        "[the booking has to go|cancel what you booked|take the booking back].",
        "It is time to cancel [this|the|my] [booking|flight].",
        "[This|The|My] booking [needs|has] to be cancelled[, please|].",
    ],
    ["I want that booking cancelled."],
    ["That flight should be cancelled."],
)
CANCEL_KNOWN = phrase(
    [
        "Cancel the booking '{booking}'. My access token is '{token}'.",
        "With the access token '{token}', cancel my booking '{booking}'.",
        "[Can|Could] you cancel [the|my] booking '{booking}'[ for me|]? The [access |]token is '{token}'.",
        "I [would like|need|have] to cancel the booking '{booking}', [my|the] access token is '{token}'.",
        "[The|My] booking '{booking}' is not needed any more. [Cancel it|Please cancel it] with the "
        "[access |]token '{token}'.",
        "My plans have changed. Access token '{token}', booking '{booking}': [cancel that one|it has to be cancelled].",
        "It is time to cancel a booking. [Its number|Its id|The id] is '{booking}', and the token "
        "[for access |]is '{token}'.",
        "Using the token '{token}', [take back|cancel] the booking [with the id|with the number] '{booking}'.",
    ],
    ["I want the booking '{booking}' cancelled: access token '{token}'."],
    ["The access token is '{token}', and the booking '{booking}' should be cancelled."],
    gap(
        "booking",
        "booking",
        [
            "Cancel [one of my bookings|a booking]. My access token is '{token}'.",
            "[Can|Could] you cancel [one booking|a booking of mine][ for me|]? The [access |]token is '{token}'.",
            "I [would like|need|have] to cancel a booking, [my|the] access token is '{token}'.",
            "[One of my bookings|A booking] is not needed any more. [Cancel it|Please cancel it] with the "
            "[access |]token '{token}'.",
            "My plans have changed. Access token '{token}': [cancel one booking|one booking has to be cancelled].",
            "Using the token '{token}', [take back|cancel] [a booking|one of my bookings].",
        ],
        ["I want a booking cancelled: access token '{token}'."],
        ["The access token is '{token}', and a booking should be cancelled."],
    ),
)
BALANCE_FIRST = phrase(
    [
        "What is [on|in] my card '{card}'?",
        "[Show|Tell] me the balance of the card '{card}'.",
        "[Can|Could] you [check|look up|tell me] [the balance of|what is on] [my|the] card '{card}'?",
        "I [need|would like] [the balance of|to see how much is on] [my|the] credit card '{card}'.",
        "[My|The] card is '{card}'. [How much is on it|What is its balance|What is left on it]?",
        "[Card '{card}'|For the card '{card}']: the balance[, please|]. [I have to know it|Show it to me].",
        "It is time to check [my|the] card '{card}'. [How much money is there|What is the balance]?",
        "[How much money|What sum] [do I have|is left] on the card '{card}'?",
    ],
    ["I want to know the balance of my card '{card}'."],
    ["How much is on the card '{card}'? Tell me."],
    gap(
        "card",
        "card",
        [
            "What is on my card?",
            "[Show|Tell] me the balance of a card.",
            "[Can|Could] you [check|look up|tell me] [the balance of|what is on] [my|a] card?",
            "I [need|would like] [the balance of|to see how much is on] [my|a] credit card.",
            "I have a card. [How much is on it|What is its balance|What is left on it]?",
            "[Card balance|The balance of a card][, please|]. [I have to know it|Show it to me].",
            "It is time to check [my|a] card. [How much money is there|What is the balance]?",
            "[How much money|What sum] [do I have|is left] on [my|a] card?",
        ],
        ["I want to know the balance of my card."],
        ["How much is on the card? Tell me."],
    ),
)
SIGN_IN = phrase(
    [
        "I am {first} {last}: client '{client}', secret '{secret}', refresh token '{refresh}', grant '{grant}'.",
        "Sign in {first} {last}: refresh token '{refresh}', client '{client}', secret '{secret}', grant '{grant}'.",
        "[To sign in|For access], [use|take] the client '{client}', the secret '{secret}', the refresh "
        "token '{refresh}' and the grant '{grant}'. [My name is|I am] {first} {last}.",
        "[Can|Could] you sign in {first} {last}? The refresh token is '{refresh}', the grant '{grant}', "
        "the client '{client}', the secret '{secret}'.",
        "My client id is '{client}' and [my|the] client secret '{secret}'. I am {first} {last}, [my|the] "
        "grant type is '{grant}', my refresh token '{refresh}'.",
        "The grant type [is|should be] '{grant}', the [name|user] {first} {last}, the secret '{secret}', "
        "the client '{client}' and the refresh token '{refresh}'.",
        "I need [access|a token], with the grant '{grant}'. [My name is|I am] {first} {last}, secret "
        "'{secret}', refresh token '{refresh}', client '{client}'.",
        "Refresh token '{refresh}', client secret '{secret}', client id '{client}', grant type "
        "'{grant}': [that is|this is] [how {first} {last} signs in|the login for {first} {last}].",
    ],
    ["The login of {first} {last}: client '{client}', secret '{secret}', refresh token '{refresh}', grant '{grant}'."],
    ["For {first} {last}: grant '{grant}', client '{client}', secret '{secret}', refresh token '{refresh}'."],
)
BALANCE = phrase(
    [
        "What is the balance of [that|the] card now?",
        "[Show|Tell] me the balance of [that|the] card.",
        "[Can|Could] you [check|look up|tell me] [the balance of|what is on] [the|this|that|my] card[ now|]?",
        "I [need|would like] [the new balance of|to see what is left on] [my|this|the] card.",
        "[What|How much money] is left on [my|this|the] card[ now|]?",
        "The [new |]balance of [this|my] card, please.",
        "It is time to check [my|this|the] card. [How much is there|What is its balance]?",
        "I have to know what [the|that|this] card [still has|has left]. Look up [its|the] balance.",
    ],
    ["I want to know the balance of that card now."],
    ["How much is on that card now? Tell me."],
)
BUDGET = phrase(
    [
        "Set my [travel |]budget to {amount} dollars.",
        "My budget [limit |]is {amount} dollars. Set [it|that].",
        "[Can|Could] you [set|limit] my [travel |]budget [to|at] {amount} dollars?",
        "I [would like|need|have] to [keep|limit] my [travel |]budget to {amount} dollars. Set that[ limit|].",
        "My [travel |]budget [should|must|has to] [be limited to|be set to|be] {amount} dollars[, please|].",
        "I [can|will] spend {amount} dollars[ on this trip|], so [make that|let that be] my budget limit.",
        "It is time to [set|fix] a budget limit: {amount} dollars.",
        "{amount} dollars: [that is all I can spend|this is my limit|not more than that]. Set [my|the] budget.",
    ],
    ["I want a budget limit of {amount} dollars."],
    ["A limit of {amount} dollars for my budget, please."],
    gap(
        "amount",
        "amount",
        [
            "Set [my|a] budget.",
            "I need a budget limit. Set it.",
            "[Can|Could] you [set|limit] my [travel |]budget[ for me|]?",
            "I [would like|need|have] to [keep to|limit] my [travel |]budget. Set [a|the] limit.",
            "My [travel |]budget [should|must|has to] [be limited|have a limit|be set][, please|].",
            "I [cannot|will not] spend too much[ on this trip|], so [set|give me] a budget limit.",
            "It is time to [set|fix] a [budget limit|limit for my budget].",
        ],
        ["I want a budget limit."],
        ["A limit for my budget, please."],
    ),
)
EXCHANGE = phrase(
    [
        "[What are|How much is] {amount} {base} in {target}?",
        "[Convert|Exchange] {amount} {base} to {target}.",
        "How many {target} do I get for {amount} {base}?",
        "[Can|Could] you [convert|exchange|change] {amount} {base} into {target}?",
        "I [would like|need|have] to [know|see] what {amount} {base} are [worth|worth now] in {target}.",
        "I have {amount} {base}. [What is that|How much would that be|What are they worth] in {target}?",
        "{amount} {base} [should become|have to become|to] {target}: "
        "[how much is that|how many are that|what do I get]?",
        "It is time to [exchange|change] money: {amount} {base} [into|to] {target}.",
        "The value of {amount} {base} in {target}, please. [I need it for the trip|I have to know it].",
    ],
    ["I want to know {amount} {base} in {target}."],
    ["Tell me how much {target} I get for {amount} {base}."],
    gap(
        "amount",
        "amount",
        [
            "How many {target} do I get for my {base}?",
            "[Convert|Exchange] my {base} to {target}.",
            "[Can|Could] you [convert|exchange|change] [my|some] {base} into {target}?",
            "I [would like|need|have] to [know|see] what my {base} are [worth|worth now] in {target}.",
            "I have some {base}. [What is that|How much would that be|What are they worth] in {target}?",
            "My {base} [should become|have to become|to] {target}: [how much is that|how many are that|what do I get]?",
            "It is time to [exchange|change] money: {base} [into|to] {target}.",
        ],
        ["I want to know my {base} in {target}."],
        ["Tell me how much {target} I get for my {base}."],
    ),
)
BUDGET_OF_IT = phrase(
    [
        "Set my budget to that amount. My access token is '{token}'.",
        "With the access token '{token}', set a budget limit of that amount.",
        "[Can|Could] you [set|limit] my budget [to|at] [that|this] amount? [The|My] [access |]token is '{token}'.",
        "I [would like|need] a budget limit of [exactly |]that much. [The|My] access token is '{token}'.",
        "My budget [should|must] be [limited to|set to] [that|this] sum. For access, [take|use] the token '{token}'.",
        "[That|This] is what I can spend, so make it my budget limit[ now|]. Access token: '{token}'.",
        "It is time to set my budget limit: [take|use] that sum and the [access |]token '{token}'.",
        "Token '{token}': with it, [that amount becomes|let that amount be] [the|my] budget limit.",
    ],
    ["I want that amount as my budget limit: access token '{token}'."],
    ["The access token is '{token}', and that amount should be the limit of my budget."],
)
AIRPORT = phrase(
    [
        "Which airport is nearest to {city}?",
        "[Find|Look for] the airport [near|of] {city}.",
        "What is the nearest airport of {city}?",
        "[Can|Could] you [find|look up|tell me] the "
        "[nearest airport to|airport that is nearest to|airport next to] {city}?",
        "I [need|would like] the [name|code] of the airport nearest to {city}.",
        "I [will be|am] in {city}. "
        "[Which airport is the nearest|What is the airport there|Where is the nearest airport]?",
        "[{city}|For {city}]: the nearest airport, please.",
        "It is time to [find|look for] an airport. It should be the nearest one to {city}.",
        "Near {city} there [is|should be] an airport. [Which one is it?|Find it.|What is it called?]",
    ],
    ["I want to know the airport that is nearest to {city}."],
    ["Tell me the airport near {city}."],
    gap(
        "city",
        "city",
        [
            "Which airport is nearest to my city?",
            "Find the airport near a city.",
            "[Can|Could] you [find|look up|tell me] the "
            "[nearest airport to|airport that is nearest to|airport next to] [my|a] city?",
            "I [need|would like] the [name|code] of the airport nearest to [my|a] city.",
            "I [will be|am] in a city. "
            "[Which airport is the nearest|What is the airport there|Where is the nearest airport]?",
            "The nearest airport[ of my city|], please.",
            "It is time to [find|look for] an airport. It should be the nearest one to [my|a] city.",
            "Near my city there [is|should be] an airport. [Which one is it?|Find it.|What is it called?]",
        ],
        ["I want to know the airport that is nearest to a city."],
        ["Tell me the airport near my city."],
    ),
)
