"""Stories in a car: start it, drive far, fill it up, look after the tires, and write about it."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.storylines.messages import MESSAGES, Phone
from envtune.playground.storylines.tickets import TICKETS, TicketDesk
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import gap, phrase

VEHICLE = "VehicleControlAPI"
DOORS = ["driver", "passenger", "rear_left", "rear_right"]

START = phrase(
    [
        "[Start|Turn on] the engine.",
        "[Start|Get] the car [ready|for me]: turn the engine on.",
        "I want to drive. Start the engine.",
    ],
    ["I am in the car, so [please start|start] the engine."],
    ["The engine should be on. Start it."],
)
CRUISE = phrase(
    [
        "[Set|Turn on] the cruise control [to|at] {speed}, {distance} meters from the next car.",
        "Cruise control on: speed {speed}, distance {distance} meters.",
        "Keep {distance} meters from the next car, with the cruise control at {speed}.",
    ],
    ["I want the cruise control at a speed of {speed} and {distance} meters of distance."],
    ["With {distance} meters to the next car, turn on the cruise control for a speed of {speed}."],
    gap(
        "speed",
        "speed",
        [
            "[Set|Turn on] the cruise control, {distance} meters from the next car.",
            "Keep {distance} meters from the next car, with the cruise control on.",
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
    ],
    ["I want {degrees} celsius in here, the mode '{mode}' and a fan speed of {fan}."],
    ["Set the fan to {fan} and the mode to '{mode}'. The temperature should be {degrees} celsius."],
    gap(
        "degrees",
        "temperature in celsius",
        [
            "Set the climate control to another temperature, mode '{mode}', fan speed {fan}.",
            "Change the temperature in the car, with the fan at {fan} and the mode '{mode}'.",
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
    ],
    ["I want the headlights '{mode}'."],
    ["Set the lights in front of the car to '{mode}'."],
)
NAVIGATE = phrase(
    [
        "[Set the navigation|Navigate] to '{place}'.",
        "I [want to go|go] to '{place}'. Set the navigation.",
        "Take me to '{place}' with the navigation.",
    ],
    ["The navigation should take me to '{place}'."],
    ["'{place}' is where I want to be. Set the navigation."],
    gap(
        "place",
        "address",
        ["[Set|Start] the navigation.", "I want to go to an address. Set the navigation."],
        ["The navigation should take me to an address."],
        ["There is an address where I want to be. Set the navigation."],
    ),
)
STATUS = phrase(
    [
        "Show me the status of the {part}.",
        "What is the status of the {part}?",
        "[Check|Look at] the {part} of the car and show me the status.",
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
    ],
    ["I want to know how far {start} is from {end}."],
    ["Between {start} and {end}, what is the distance?"],
    gap(
        "end",
        "city to go to",
        ["How far is it from {start}?", "I drive from {start} to another city. How far is that?"],
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
    ],
    ["I want to know whether I have enough fuel for that distance."],
    ["Tell me whether I can drive that distance."],
)
FILL = phrase(
    [
        "Fill [in|up] {gallons} gallons.",
        "[Put|Fill] {gallons} gallons of fuel into the tank.",
        "The tank should get {gallons} gallons more.",
    ],
    ["I want {gallons} gallons of fuel in the tank."],
    ["The car needs fuel: {gallons} gallons."],
    gap(
        "gallons",
        "number of gallons",
        ["[Fill up|Fill] the tank a bit.", "Put [some|more] fuel into the tank."],
        ["I want more fuel in the tank."],
        ["The car needs fuel."],
    ),
)
LITERS = phrase(
    [
        "How many gallons are {liters} liters?",
        "[What are|Convert] {liters} liters in gallons?",
        "I have {liters} liters of fuel. How many gallons is that?",
    ],
    ["I want to know {liters} liters in gallons."],
    ["Tell me how many gallons {liters} liters are."],
    gap(
        "liters",
        "number of liters",
        ["How many gallons are my liters?", "I have some liters of fuel. How many gallons is that?"],
        ["I want to know my liters in gallons."],
        ["Tell me how many gallons some liters are."],
    ),
)
FILL_IT = phrase(
    ["Fill [in|up] that many gallons.", "[Put|Fill] that much into the tank."],
    ["I want that much fuel in the tank."],
    ["The car needs that many gallons. Fill them in."],
)
TIRES = phrase(
    ["[Check|Look at] the tires.", "What is the pressure of the tires?", "[Check|Tell me] the tire pressure."],
    ["I want to know the pressure of my tires."],
    ["Is the tire pressure good? Check it."],
)
SHOP = phrase(
    ["Where is the nearest tire shop?", "[Find|Look for] the nearest tire shop.", "I need a tire shop near here."],
    ["I want to know where the nearest tire shop is."],
    ["Tell me which tire shop is the nearest."],
)
NAVIGATE_THERE = phrase(
    ["[Set the navigation|Navigate] to that shop.", "I [want to go|go] there. Set the navigation.", "Take me there."],
    ["The navigation should take me to that shop."],
    ["That shop is where I want to be. Set the navigation."],
)
BRAKE = phrase(
    [
        "[Engage|Set] the parking brake: mode '{mode}'.",
        "The parking brake should be in mode '{mode}'.",
        "Parking brake, please: '{mode}'.",
    ],
    ["I want the parking brake in the mode '{mode}'."],
    ["Use the parking brake with the mode '{mode}'."],
)


class Car:
    """A car that stands still, some of its doors open."""

    def __init__(self, tale: Tale) -> None:
        self.tale = tale
        rng = tale.rng
        unlocked = rng.sample(DOORS, rng.randint(1, 4))
        pressures = [float(rng.randint(26, 36)) for _ in range(4)]
        tale.world(
            VEHICLE,
            random_seed=rng.randint(1, 999_999),
            fuelLevel=values.decimal(rng, 4, 30),
            batteryVoltage=values.decimal(rng, 11, 13),
            engineState="stopped",
            doorStatus={door: "unlocked" if door in unlocked else "locked" for door in DOORS},
            frontLeftTirePressure=pressures[0],
            frontRightTirePressure=pressures[1],
            rearLeftTirePressure=pressures[2],
            rearRightTirePressure=pressures[3],
        )

    def start(self) -> None:
        self.tale.say(START)
        self.tale.first("lockDoors", unlock=False, door=list(DOORS))
        self.tale.first("pressBrakePedal", pedalPosition=1.0)
        self.tale.call("startEngine", ignitionMode="START")

    def cruise(self) -> None:
        speed, distance = 5 * self.tale.rng.randint(6, 23), 10 * self.tale.rng.randint(3, 15)
        self.tale.say(CRUISE, speed=speed, distance=distance)
        self.tale.call("setCruiseControl", speed=speed, activate=True, distanceToNextVehicle=distance)

    def climate(self) -> None:
        rng = self.tale.rng
        degrees, fan, mode = values.decimal(rng, 16, 26), 5 * rng.randint(2, 19), rng.choice(("auto", "cool", "heat"))
        self.tale.say(CLIMATE, degrees=degrees, fan=fan, mode=mode)
        self.tale.call("adjustClimateControl", temperature=degrees, unit="celsius", fanSpeed=fan, mode=mode)

    def lights(self) -> None:
        mode = self.tale.rng.choice(("on", "off"))
        self.tale.say(LIGHTS, mode=mode)
        self.tale.call("setHeadlights", mode=mode)

    def navigate(self) -> None:
        rng = self.tale.rng
        place = f"{rng.randint(2, 99)} {values.word(rng).capitalize()} Street, {rng.choice(codes.roads())[0]}"
        self.tale.say(NAVIGATE, place=place)
        self.tale.call("set_navigation", destination=place)

    def go_to(self, place: str) -> None:
        self.tale.say(NAVIGATE_THERE)
        self.tale.call("set_navigation", destination=place)

    def status(self) -> None:
        part = self.tale.rng.choice(("fuel", "battery", "doors", "climate", "headlights", "engine"))
        self.tale.say(STATUS, part=part)
        self.tale.call("displayCarStatus", option=part)

    def fill(self) -> None:
        gallons = self.tale.rng.randint(2, 9)
        self.tale.say(FILL, gallons=gallons)
        self.tale.call("fillFuelTank", fuelAmount=gallons)

    def brake(self) -> None:
        mode = self.tale.rng.choice(("engage", "release"))
        self.tale.say(BRAKE, mode=mode)
        self.tale.call("activateParkingBrake", mode=mode)


@storyline(VEHICLE)
def car_start(tale: Tale) -> None:
    car = Car(tale)
    car.start()
    tale.go_on([car.cruise, car.climate, car.lights, car.navigate, car.status])


@storyline(VEHICLE)
def car_settings(tale: Tale) -> None:
    car = Car(tale)
    begin, *then = tale.rng.sample([car.climate, car.lights, car.navigate, car.status, car.brake, car.fill], 6)
    begin()
    tale.go_on([*then, car.start])


@storyline(VEHICLE)
def car_distance(tale: Tale) -> None:
    car = Car(tale)
    start, end = tale.rng.choice(codes.roads())
    tale.say(DISTANCE, start=start, end=end)
    zip_codes = [tale.look_up("get_zipcode_based_on_city", "zipcode", city=city) for city in (start, end)]
    distance = tale.call("estimate_distance", cityA=zip_codes[0], cityB=zip_codes[1])["distance"]
    if tale.length > 1:
        tale.say(FEASIBLE)
        tale.call("estimate_drive_feasibility_by_mileage", distance=distance)
    tale.go_on([car.fill, car.start, car.lights])


@storyline(VEHICLE)
def car_fuel(tale: Tale) -> None:
    car = Car(tale)
    liters = tale.rng.choice(codes.neat(VEHICLE, "liter_to_gallon", "liter", range(5, 70)))
    tale.say(LITERS, liters=liters)
    gallons = tale.call("liter_to_gallon", liter=liters)["gallon"]
    if tale.length > 1:
        tale.say(FILL_IT)
        tale.call("fillFuelTank", fuelAmount=gallons)
    tale.go_on([car.start, car.status, car.climate])


@storyline(VEHICLE)
def car_tires(tale: Tale) -> None:
    car = Car(tale)
    tale.say(TIRES)
    tale.call("check_tire_pressure")
    if tale.length > 1:
        tale.say(SHOP)
        place = tale.call("find_nearest_tire_shop")["shopLocation"]
        tale.go_on([lambda: car.go_to(place), car.fill, car.climate, car.start])


@storyline(VEHICLE, MESSAGES, can_crowd=True)
def car_message(tale: Tale) -> None:
    car, phone = Car(tale), Phone(tale)
    tale.rng.choice((car.start, car.climate, car.lights, car.navigate, car.fill))()
    if tale.crowded:
        phone.view_and_act()
    else:
        phone.send(tale.rng.choice(phone.others))
        tale.go_on([phone.send_too, phone.view, car.lights])


@storyline(VEHICLE, TICKETS, can_crowd=True)
def car_ticket(tale: Tale) -> None:
    car, desk = Car(tale), TicketDesk(tale)
    tale.rng.choice((car.start, car.climate, car.lights, car.navigate, car.fill))()
    desk.find()
    tale.go_on([desk.read])


STORYLINES: tuple[Storyline, ...] = (
    car_start,
    car_settings,
    car_distance,
    car_fuel,
    car_tires,
    car_message,
    car_ticket,
)
