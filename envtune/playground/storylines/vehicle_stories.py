"""Stories in a car: starting, settings, distances, fuel, tires, and messages or tickets on the way."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import StoryBuilder, Storyline, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone
from envtune.playground.storylines.ticket_stories import TICKETS, TicketDesk

VEHICLE = "VehicleControlAPI"
PHRASES = read_phrases("vehicle")
DOORS = ["driver", "passenger", "rear_left", "rear_right"]


class Car:
    """A parked car with some doors unlocked."""

    def __init__(self, story: StoryBuilder) -> None:
        self.story = story
        rng = story.rng
        unlocked = rng.sample(DOORS, rng.randint(1, 4))
        pressures = [float(rng.randint(26, 36)) for _ in range(4)]
        story.world(
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
        """Ask to start the engine, which needs locked doors and the brake."""
        self.story.say(PHRASES["start"])
        self.story.first("lockDoors", unlock=False, door=list(DOORS))
        self.story.first("pressBrakePedal", pedalPosition=1.0)
        self.story.call("startEngine", ignitionMode="START")

    def cruise(self) -> None:
        """Ask to set the cruise control."""
        speed, distance = 5 * self.story.rng.randint(6, 23), 10 * self.story.rng.randint(3, 15)
        self.story.say(PHRASES["cruise"], speed=speed, distance=distance)
        self.story.call("setCruiseControl", speed=speed, activate=True, distanceToNextVehicle=distance)

    def climate(self) -> None:
        """Ask to set the climate control."""
        rng = self.story.rng
        degrees, fan, mode = values.decimal(rng, 16, 26), 5 * rng.randint(2, 19), rng.choice(("auto", "cool", "heat"))
        self.story.say(PHRASES["climate"], degrees=degrees, fan=fan, mode=mode)
        self.story.call("adjustClimateControl", temperature=degrees, unit="celsius", fanSpeed=fan, mode=mode)

    def lights(self) -> None:
        """Ask to set the headlights."""
        mode = self.story.rng.choice(("on", "off"))
        self.story.say(PHRASES["lights"], mode=mode)
        self.story.call("setHeadlights", mode=mode)

    def navigate(self) -> None:
        """Ask to navigate to an address."""
        rng = self.story.rng
        place = f"{rng.randint(2, 99)} {values.word(rng).capitalize()} Street, {rng.choice(codes.roads())[0]}"
        self.story.say(PHRASES["navigate"], place=place)
        self.story.call("set_navigation", destination=place)

    def go_to(self, place: str) -> None:
        """Ask to navigate to a place found before."""
        self.story.say(PHRASES["navigate_there"])
        self.story.call("set_navigation", destination=place)

    def status(self) -> None:
        """Ask for the status of a part."""
        part = self.story.rng.choice(("fuel", "battery", "doors", "climate", "headlights", "engine"))
        self.story.say(PHRASES["status"], part=part)
        self.story.call("displayCarStatus", option=part)

    def fill(self) -> None:
        """Ask to fill the tank."""
        gallons = self.story.rng.randint(2, 9)
        self.story.say(PHRASES["fill"], gallons=gallons)
        self.story.call("fillFuelTank", fuelAmount=gallons)

    def brake(self) -> None:
        """Ask to set the parking brake."""
        mode = self.story.rng.choice(("engage", "release"))
        self.story.say(PHRASES["brake"], mode=mode)
        self.story.call("activateParkingBrake", mode=mode)


@storyline(VEHICLE)
def car_start(story: StoryBuilder) -> None:
    """Start the car, then change settings."""
    car = Car(story)
    car.start()
    story.go_on([car.cruise, car.climate, car.lights, car.navigate, car.status])


@storyline(VEHICLE)
def car_settings(story: StoryBuilder) -> None:
    """Change settings, in any order."""
    car = Car(story)
    begin, *then = story.rng.sample([car.climate, car.lights, car.navigate, car.status, car.brake, car.fill], 6)
    begin()
    story.go_on([*then, car.start])


@storyline(VEHICLE)
def car_distance(story: StoryBuilder) -> None:
    """Estimate a distance, then whether the fuel lasts."""
    car = Car(story)
    start, end = story.rng.choice(codes.roads())
    story.say(PHRASES["distance"], start=start, end=end)
    zip_codes = [story.look_up("get_zipcode_based_on_city", "zipcode", city=city) for city in (start, end)]
    distance = story.call("estimate_distance", cityA=zip_codes[0], cityB=zip_codes[1])["distance"]
    if story.length > 1:
        story.say(PHRASES["feasible"])
        story.call("estimate_drive_feasibility_by_mileage", distance=distance)
    story.go_on([car.fill, car.start, car.lights])


@storyline(VEHICLE)
def car_fuel(story: StoryBuilder) -> None:
    """Convert liters to gallons and fill them in."""
    car = Car(story)
    liters = story.rng.choice(codes.neat(VEHICLE, "liter_to_gallon", "liter", range(5, 70)))
    story.say(PHRASES["liters"], liters=liters)
    gallons = story.call("liter_to_gallon", liter=liters)["gallon"]
    if story.length > 1:
        story.say(PHRASES["fill_it"])
        story.call("fillFuelTank", fuelAmount=gallons)
    story.go_on([car.start, car.status, car.climate])


@storyline(VEHICLE)
def car_tires(story: StoryBuilder) -> None:
    """Check the tires and go to a shop."""
    car = Car(story)
    story.say(PHRASES["tires"])
    story.call("check_tire_pressure")
    if story.length > 1:
        story.say(PHRASES["shop"])
        place = story.call("find_nearest_tire_shop")["shopLocation"]
        story.go_on([lambda: car.go_to(place), car.fill, car.climate, car.start])


@storyline(VEHICLE, MESSAGES, can_crowd=True)
def car_message(story: StoryBuilder) -> None:
    """Change a setting, then send a message."""
    car, phone = Car(story), Phone(story)
    story.rng.choice((car.start, car.climate, car.lights, car.navigate, car.fill))()
    phone.act(car.lights)


@storyline(VEHICLE, TICKETS, can_crowd=True)
def car_ticket(story: StoryBuilder) -> None:
    """Change a setting, then act on a ticket."""
    car, desk = Car(story), TicketDesk(story)
    story.rng.choice((car.start, car.climate, car.lights, car.navigate, car.fill))()
    desk.find()
    story.go_on([desk.read])


STORYLINES: tuple[Storyline, ...] = (
    car_start,
    car_settings,
    car_distance,
    car_fuel,
    car_tires,
    car_message,
    car_ticket,
)
