"""What users ask for about a car."""

from __future__ import annotations

from envtune.playground.wording import gap, phrase

START = phrase(
    [
        "[Start|Turn on] the engine.",
        "[Start|Get] the car [ready|for me]: turn the engine on.",
        "I want to drive. Start the engine.",
        "[Can|Could] you [start|turn on] the [engine|car's engine][ for me|]?",
        "I [need|would like] [the engine running|the engine on|a running engine][, please|].",
        "The [engine|car] should be [started|running][ now|].",
        "It is time to [drive|go|leave]: [engine on|start the engine|turn the engine on], please.",
        "We are [about to leave|ready to go|all in the car]. The engine "
        "[has to run|needs to be started|can be started].",
        "[Make|Get] the engine [run|running], [I have to go|we want to leave].",
    ],
    ["I am in the car, so [please start|start] the engine."],
    ["The engine should be on. Start it."],
)
CRUISE = phrase(
    [
        "[Set|Turn on] the cruise control [to|at] {speed}, {distance} meters from the next car.",
        "Cruise control on: speed {speed}, distance {distance} meters.",
        "Keep {distance} meters from the next car, with the cruise control at {speed}.",
        "[Can|Could] you [turn on|set] the cruise control? [Its|The] speed is {speed} and the distance "
        "{distance} meters.",
        "I [need|would like] [to drive|to go] at {speed} with the cruise control, and [stay|keep] "
        "{distance} meters [behind|away from] the next car.",
        "The cruise control should [keep|hold] the speed at {speed}, [with|leaving] {distance} meters to "
        "the car in front.",
        "It is time for the cruise control: {distance} meters [of distance|to the next car], speed {speed}.",
        "The distance to the next car should be {distance} meters and the speed {speed}. "
        "[Turn on|Use|Set] the cruise control[ for that|].",
        "At {speed}, let the cruise control [drive|take over]. The next car should [stay|be] {distance} meters away.",
    ],
    ["I want the cruise control at a speed of {speed} and {distance} meters of distance."],
    ["With {distance} meters to the next car, turn on the cruise control for a speed of {speed}."],
    gap(
        "speed",
        "speed",
        [
            "[Set|Turn on] the cruise control, {distance} meters from the next car.",
            "Keep {distance} meters from the next car, with the cruise control on.",
            "[Can|Could] you [turn on|set] the cruise control? The distance is {distance} meters.",
            "I [need|would like] [to drive|to go] with the cruise control, and [stay|keep] {distance} meters "
            "[behind|away from] the next car.",
            "The cruise control should be [on|used], [with|leaving] {distance} meters to the car in front.",
            "It is time for the cruise control: {distance} meters [of distance|to the next car].",
            "The distance to the next car should be {distance} meters. [Turn on|Use|Set] the cruise "
            "control[ for that|].",
        ],
        ["I want the cruise control on and {distance} meters of distance."],
        ["With {distance} meters to the next car, turn on the cruise control."],
    ),
)
CLIMATE = phrase(
    [
        "Set the [temperature|climate control] to {degrees} celsius, mode '{mode}', fan speed {fan}.",
        "Make it {degrees} celsius in the car, with the fan at {fan} and the mode '{mode}'.",
        "Fan speed {fan}, mode '{mode}', temperature {degrees} celsius: set the climate control to that.",
        "[Can|Could] you [make it|set the car to] {degrees} celsius? The fan [speed is|should run at] "
        "{fan}, the mode '{mode}'.",
        "I [need|would like] [a temperature of |]{degrees} celsius, fan speed {fan}, in the mode '{mode}'.",
        "The climate control [should be in|needs] the mode '{mode}', with {degrees} celsius and [a|the] "
        "fan speed [of|at] {fan}.",
        "It is [too warm|not right] in here: [change to|set] the mode '{mode}', {degrees} celsius, and "
        "the fan to {fan}.",
        "The fan [should run|has to run] at {fan} and the car [should be|has to be] at {degrees} "
        "celsius. [Use|Take] the mode '{mode}'.",
        "Mode '{mode}' [for|is right for] the climate control. [The temperature is|Make it] {degrees} "
        "celsius and the fan speed {fan}.",
    ],
    ["I want {degrees} celsius in here, the mode '{mode}' and a fan speed of {fan}."],
    ["Set the fan to {fan} and the mode to '{mode}'. The temperature should be {degrees} celsius."],
    gap(
        "degrees",
        "temperature in celsius",
        [
            "Set the climate control to another temperature, mode '{mode}', fan speed {fan}.",
            "Change the temperature in the car, with the fan at {fan} and the mode '{mode}'.",
            "[Can|Could] you change the temperature? The fan [speed is|should run at] {fan}, the mode '{mode}'.",
            "I [need|would like] [a different temperature|the temperature changed], fan speed {fan}, in the "
            "mode '{mode}'.",
            "The climate control [should be in|needs] the mode '{mode}', with a new temperature and [a|the] "
            "fan speed [of|at] {fan}.",
            "It is [too warm|not right] in here: [change to|set] the mode '{mode}', a better temperature, "
            "and the fan to {fan}.",
            "The fan [should run|has to run] at {fan} and the temperature [should|has to] change. [Use|Take] "
            "the mode '{mode}'.",
        ],
        ["I want another temperature in here, the mode '{mode}' and a fan speed of {fan}."],
        ["Set the fan to {fan} and the mode to '{mode}'. The temperature should be another one."],
    ),
)
LIGHTS = phrase(
    [
        "[Turn|Set] the headlights [to |]'{mode}'.",
        "The headlights should be '{mode}'.",
        "Headlights '{mode}', please.",
        "The lights in front should be '{mode}'.",
        "[Can|Could] you [set|turn|switch] the headlights [to |]'{mode}'?",
        "I [need|would like] the [headlights|lights in front] to be '{mode}'[, please|].",
        "The headlights [need|have] to be '{mode}'[ now|].",
        "It is time to [turn|set|switch] the headlights [to |]'{mode}'.",
        "'{mode}': [that is how the headlights should be|set the headlights to that|the headlights, please].",
        "[See to it|Make sure] that the headlights are '{mode}'.",
    ],
    ["I want the headlights '{mode}'."],
    ["Set the lights in front of the car to '{mode}'."],
)
NAVIGATE = phrase(
    [
        "[Set the navigation|Navigate] to '{place}'.",
        "I [want to go|go] to '{place}'. Set the navigation.",
        "Take me to '{place}' with the navigation.",
        "[Can|Could] you [navigate|take me|bring me] to '{place}'?",
        "I [need|would like] [directions|the way|navigation] to '{place}'.",
        "'{place}' should be [the destination|where the navigation goes|the address in the navigation].",
        "My [next stop|destination|address] is '{place}'. [Start|Set] the navigation[, please|].",
        "It is time to [go|drive] to '{place}', so [set|start] the navigation.",
        "The navigation needs [an address|a destination]: '{place}'.",
    ],
    ["The navigation should take me to '{place}'."],
    ["'{place}' is where I want to be. Set the navigation."],
    gap(
        "place",
        "address",
        [
            "[Set|Start] the navigation.",
            "I want to go to an address. Set the navigation.",
            "[Can|Could] you [navigate|take me|bring me] to an address?",
            "I [need|would like] [directions|the way|navigation] to [an address|a place].",
            "My destination should be [a certain|some] address.",
            "I have [a next stop|a destination|an address]. [Start|Set] the navigation[, please|].",
            "It is time to [go|drive] to an address, so [set|start] the navigation.",
            "The navigation needs [an address|a destination].",
        ],
        ["The navigation should take me to an address."],
        ["There is an address where I want to be. Set the navigation."],
    ),
)
STATUS = phrase(
    [
        "Show me the status of the {part}.",
        "What is the status of the {part}?",
        "[Check|Look at] the {part} of the car and show me the status.",
        "[Can|Could] you [show|check|tell me] the status of the car's {part}?",
        "I [need|would like] the [status|current status] [of|for] the {part}[, please|].",
        "The {part}: [what is the status|what does the status say|how does it look]?",
        "The status of the {part}[ of the car|], please.",
        "It is time to [check|look at] the {part}. [What does the status say?|Show me the status.]",
        "[Before I go|Before we leave], [check|show] the status [for|of] the {part}.",
    ],
    ["I want to see the status of the {part}."],
    ["Tell me the status: {part}."],
)
DISTANCE = phrase(
    [
        "How far is it from {start} to {end}?",
        "[What is|Tell me] the distance from {start} to {end}?",
        "I drive from {start} to {end}. How far is that?",
        "What is the distance between {start} and {end}?",
        "[Can|Could] you [tell me|find out|estimate] the distance [from|between] {start} [and|to] {end}?",
        "I [need|would like] [the distance|to know the distance] [to|for a drive to] {end}, "
        "[starting|if I start] in {start}.",
        "My [trip|drive] [goes to|ends in] {end} and [starts|begins] in {start}. "
        "[How far is it|How long is the way|What is the distance]?",
        "The [way|distance] from {start} to {end}, please: [how far is it|how long is it]?",
        "To {end} from {start}: [how far do I drive|how far is it|what is the distance]?",
        "I [am in|start in|leave] {start} and [have to be in|go to|drive to] {end}. "
        "[What distance is that|How far do I drive]?",
    ],
    ["I want to know how far {start} is from {end}."],
    ["Between {start} and {end}, what is the distance?"],
    gap(
        "end",
        "city to go to",
        [
            "How far is it from {start}?",
            "I drive from {start} to another city. How far is that?",
            "[Can|Could] you [tell me|find out|estimate] the distance from {start} to [another|some other] city?",
            "I [need|would like] [the distance|to know the distance] [to|for a drive to] another city, "
            "[starting|if I start] in {start}.",
            "My [trip|drive] [starts|begins] in {start}. [How far is it|How long is the way|What is the distance]?",
            "From {start} to [some|another] city: [how far do I drive|how far is it|how long is the way]?",
            "I [am in|start in|leave] {start} and [have to be in|go to|drive to] another city. "
            "[What distance is that|How far do I drive]?",
        ],
        ["I want to know how far {start} is from another city."],
        ["Between {start} and another city, what is the distance?"],
    ),
)
FEASIBLE = phrase(
    [
        "Can I drive that far?",
        "Is there [enough fuel|enough in the tank] for that distance?",
        "Do I have enough fuel to drive that far?",
        "Tell me whether there is enough fuel for that.",
        "[Can|Could] you [check|tell me] if [the fuel|what is in the tank|my fuel] [is enough|will do] "
        "for that [distance|drive|way]?",
        "I need to [drive|go] that far. [Is it possible|Will the fuel do|Is there enough in the tank]?",
        "The fuel [should be|has to be] enough for [this|that] distance. [Is it?|Check it.|Please check.]",
        "[Will|Would] [I|the car] [get|make it] that far [with|on] [this|the] fuel[ in the tank|]?",
        "It is time to [check|see] if the car can [drive|go] that far.",
        "[Is that distance possible|Would that distance be a problem|Can that distance be done] with the "
        "fuel [I have|in the tank]?",
    ],
    ["I want to know whether I have enough fuel for that distance."],
    ["Tell me whether I can drive that distance."],
)
FILL = phrase(
    [
        "Fill [in|up] {gallons} gallons.",
        "[Put|Fill] {gallons} gallons of fuel into the tank.",
        "The tank should get {gallons} gallons more.",
        "[Can|Could] you [put|fill] {gallons} gallons [into|in] the tank[, please|]?",
        "I [need|would like] [{gallons} gallons more|{gallons} more gallons|another {gallons} gallons][ of fuel|].",
        "{gallons} gallons of fuel [should|have to|can] go into the tank[, please|].",
        "It is time to [fill up|get fuel]: {gallons} gallons.",
        "My car [should get|has to get] {gallons} gallons. [Fill|Put] them [in|into the tank].",
        "The fuel is low. [Add|Fill in] {gallons} gallons[ of it|].",
    ],
    ["I want {gallons} gallons of fuel in the tank."],
    ["The car needs fuel: {gallons} gallons."],
    gap(
        "gallons",
        "number of gallons",
        [
            "[Fill up|Fill] the tank a bit.",
            "Put [some|more] fuel into the tank.",
            "[Can|Could] you [put|fill] [some|a few] gallons [into|in] the tank[, please|]?",
            "I [need|would like] [some more gallons|some more fuel|a few gallons more].",
            "[Some|More] fuel [should|has to|can] go into the tank[, please|].",
            "It is time to [fill up|get fuel][, please|].",
            "My car [should get|has to get|needs] a few gallons. [Fill|Put] them [in|into the tank].",
            "The fuel is low. [Add some|Fill it up a bit].",
        ],
        ["I want more fuel in the tank."],
        ["The car needs fuel."],
    ),
)
LITERS = phrase(
    [
        "How many gallons are {liters} liters?",
        "[What are|Convert] {liters} liters in gallons?",
        "I have {liters} liters of fuel. How many gallons is that?",
        "[Can|Could] you [convert|change] {liters} liters [to|into] gallons?",
        "I [need|would like] {liters} liters [as|given in|converted to] gallons.",
        "{liters} liters: [how much is that|what is that|what are they] in gallons?",
        "[The number of gallons|How many gallons there are] in {liters} liters, please.",
        "[In gallons, how much|In gallons, what] are {liters} liters of fuel?",
        "There [are|should be] {liters} liters of fuel. [Give me|Tell me|I need] [that|the number] in gallons.",
    ],
    ["I want to know {liters} liters in gallons."],
    ["Tell me how many gallons {liters} liters are."],
    gap(
        "liters",
        "number of liters",
        [
            "How many gallons are my liters?",
            "I have some liters of fuel. How many gallons is that?",
            "[Can|Could] you [convert|change] [some|my] liters [to|into] gallons?",
            "I [need|would like] [some|my] liters [as|given in|converted to] gallons.",
            "[Some|A few|My] liters: [how much is that|what is that|what are they] in gallons?",
            "[In gallons, how much|In gallons, what] are my liters of fuel?",
            "There [are|should be] some liters of fuel. [Give me|Tell me|I need] [that|the number] in gallons.",
        ],
        ["I want to know my liters in gallons."],
        ["Tell me how many gallons some liters are."],
    ),
)
FILL_IT = phrase(
    [
        "Fill [in|up] that many gallons.",
        "[Put|Fill] that much into the tank.",
        "[Can|Could] you [put|fill] [that many gallons|that much fuel|this amount] [into|in] the tank?",
        "I [need|would like] [exactly |][that many gallons|this amount of fuel] [added|filled in][, please|].",
        "[That many gallons|That much fuel|This amount] should [go into|be in] the tank[, please|]. Fill it in.",
        "It is time to [fill up|get fuel]: [that many gallons|this amount|exactly that much].",
        "The tank [needs|should get] [that many gallons|this amount] more.",
        "The fuel is low. [Add|Fill in] [exactly |]that [amount|many gallons].",
    ],
    ["I want that much fuel in the tank."],
    ["The car needs that many gallons. Fill them in."],
)
TIRES = phrase(
    [
        "[Check|Look at] the tires.",
        "What is the pressure of the tires?",
        "[Check|Tell me] the tire pressure.",
        "[Can|Could] you [check|look at] [the pressure of |][my|the] tires[, please|]?",
        "I [need|would like] [the tire pressure|a tire check|to see the pressure of the tires][, please|].",
        "The [tires|tire pressure] should be checked[ now|].",
        "It is time [to check the tires|for a check of the tires|to look at the tire pressure].",
        "How is the [tire pressure|pressure in the tires]? [I have to know|Please check].",
        "[A tire may be low|The car drives badly|The tires look low]. Check their pressure[, please|].",
    ],
    ["I want to know the pressure of my tires."],
    ["Is the tire pressure good? Check it."],
)
SHOP = phrase(
    [
        "Where is the nearest tire shop?",
        "[Find|Look for] the nearest tire shop.",
        "I need a tire shop near here.",
        "[Can|Could] you [find|look up|tell me] [a|the nearest] tire shop [near here|near me|close by]?",
        "I [need|would like] to [go to|find|know] the nearest tire shop. [Where is it?|Look for it.|Find it.]",
        "There should be a tire shop [near|close to] here. [Where is it?|Find it.|Look for the nearest one.]",
        "The nearest tire shop, please. [Where do I find it?|Where is it?|The tires need work.]",
        "It is time to [find|look for] a tire shop. [Which one|Which] is the nearest?",
        "The tires need [work|a check|new air]. Where is [the nearest shop for tires|a tire shop near me]?",
    ],
    ["I want to know where the nearest tire shop is."],
    ["Tell me which tire shop is the nearest."],
)
NAVIGATE_THERE = phrase(
    [
        "[Set the navigation|Navigate] to that shop.",
        "I [want to go|go] there. Set the navigation.",
        "Take me there.",
        "[Can|Could] you [navigate|take me|bring me] [there|to that shop|to the shop]?",
        "I [need|would like] [directions|the way|navigation] to [that|the] [tire |]shop.",
        "[That shop|The tire shop] should be "
        "[the destination|the address in the navigation|where the navigation goes].",
        "My [next stop|destination] is [that|the] [tire |]shop. [Start|Set] the navigation[, please|].",
        "It is time to [go|drive] [there|to the shop], so [set|start] the navigation.",
        "The navigation needs [the address of that shop|that shop as its destination].",
    ],
    ["The navigation should take me to that shop."],
    ["That shop is where I want to be. Set the navigation."],
)
BRAKE = phrase(
    [
        "[Engage|Set] the parking brake: mode '{mode}'.",
        "The parking brake should be in mode '{mode}'.",
        "Parking brake, please: '{mode}'.",
        "[Can|Could] you [set|put|change] the parking brake [to|into] [the mode |]'{mode}'?",
        "I [need|would like] [to have |]the parking brake set to '{mode}'.",
        "The parking brake [has to have|must be given] the mode '{mode}'[, please|].",
        "It is time [for|to use] the parking brake. [The mode is|Mode] '{mode}'.",
        "'{mode}': [that is the mode|that should be the mode|set that mode] for the parking brake.",
        "[Mode|With mode] '{mode}', [use|set] the parking brake.",
    ],
    ["I want the parking brake in the mode '{mode}'."],
    ["Use the parking brake with the mode '{mode}'."],
)
