"""Stories in a car: starting, settings, distances, fuel, tires, and messages or tickets on the way."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline
from envtune.playground.storylines.message_stories import MESSAGES, Phone
from envtune.playground.storylines.ticket_stories import TICKETS, TicketDesk

VEHICLE = "VehicleControlAPI"
DOORS = ["driver", "passenger", "rear_left", "rear_right"]


class Car(Scene):
    """A parked car with some doors unlocked."""

    phrases = read_phrases("vehicle")

    def __init__(self, story: StoryBuilder) -> None:
        super().__init__(story)
        rng = story.rng
        unlocked = rng.sample(DOORS, rng.randint(1, 4))
        tires = ("frontLeft", "frontRight", "rearLeft", "rearRight")
        pressures = {f"{tire}TirePressure": float(rng.randint(26, 36)) for tire in tires}
        story.world(
            VEHICLE,
            random_seed=rng.randint(1, 999_999),
            fuelLevel=values.decimal(rng, 4, 30),
            batteryVoltage=values.decimal(rng, 11, 13),
            engineState="stopped",
            doorStatus={door: "unlocked" if door in unlocked else "locked" for door in DOORS},
            **pressures,
        )

    def start(self) -> None:
        """Ask to start the engine, which needs locked doors and the brake."""
        self.story.say(self.phrases["start"])
        self.story.first("lockDoors", unlock=False, door=list(DOORS))
        self.story.first("pressBrakePedal", pedalPosition=1.0)
        self.story.call("startEngine", ignitionMode="START")

    def cruise(self) -> None:
        """Ask to set the cruise control."""
        speed, distance = 5 * self.rng.randint(6, 23), 10 * self.rng.randint(3, 15)
        slots = {"speed": speed, "distance": distance}
        self.ask("cruise", "setCruiseControl", slots, speed=speed, activate=True, distanceToNextVehicle=distance)

    def climate(self) -> None:
        """Ask to set the climate control."""
        degrees, fan = values.decimal(self.rng, 16, 26), 5 * self.rng.randint(2, 19)
        slots = {"degrees": degrees, "fan": fan, "mode": self.rng.choice(("auto", "cool", "heat"))}
        settings = {"temperature": degrees, "unit": "celsius", "fanSpeed": fan, "mode": slots["mode"]}
        self.ask("climate", "adjustClimateControl", slots, **settings)

    def lights(self) -> None:
        """Ask to set the headlights."""
        mode = {"mode": self.rng.choice(("on", "off"))}
        self.ask("lights", "setHeadlights", mode, **mode)

    def navigate(self) -> None:
        """Ask to navigate to an address."""
        rng = self.rng
        place = f"{rng.randint(2, 99)} {values.word(rng).capitalize()} Street, {rng.choice(codes.roads())[0]}"
        self.ask("navigate", "set_navigation", {"place": place}, destination=place)

    def go_to(self, place: str) -> None:
        """Ask to navigate to a place found before."""
        self.ask("navigate_there", "set_navigation", destination=place)

    def status(self) -> None:
        """Ask for the status of a part."""
        part = self.rng.choice(("fuel", "battery", "doors", "climate", "headlights", "engine"))
        self.ask("status", "displayCarStatus", {"part": part}, option=part)

    def fill(self) -> None:
        """Ask to fill the tank."""
        gallons = self.rng.randint(2, 9)
        self.ask("fill", "fillFuelTank", {"gallons": gallons}, fuelAmount=gallons)

    def brake(self) -> None:
        """Ask to set the parking brake."""
        mode = {"mode": self.rng.choice(("engage", "release"))}
        self.ask("brake", "activateParkingBrake", mode, **mode)

    def change_setting(self) -> None:
        """Ask for one of the changes that need no earlier turn."""
        self.rng.choice((self.start, self.climate, self.lights, self.navigate, self.fill))()


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
    story.say(car.phrases["distance"], start=start, end=end)
    zip_codes = [story.look_up("get_zipcode_based_on_city", "zipcode", city=city) for city in (start, end)]
    distance = story.call("estimate_distance", cityA=zip_codes[0], cityB=zip_codes[1])["distance"]
    if story.length > 1:
        car.ask("feasible", "estimate_drive_feasibility_by_mileage", distance=distance)
    story.go_on([car.fill, car.start, car.lights])


@storyline(VEHICLE)
def car_fuel(story: StoryBuilder) -> None:
    """Convert liters to gallons and fill them in."""
    car = Car(story)
    liters = story.rng.choice(codes.neat(VEHICLE, "liter_to_gallon", "liter", range(5, 70)))
    gallons = car.ask("liters", "liter_to_gallon", {"liters": liters}, liter=liters)["gallon"]
    if story.length > 1:
        car.ask("fill_it", "fillFuelTank", fuelAmount=gallons)
    story.go_on([car.start, car.status, car.climate])


@storyline(VEHICLE)
def car_tires(story: StoryBuilder) -> None:
    """Check the tires and go to a shop."""
    car = Car(story)
    car.ask("tires", "check_tire_pressure")
    if story.length > 1:
        place = car.ask("shop", "find_nearest_tire_shop")["shopLocation"]
        story.go_on([lambda: car.go_to(place), car.fill, car.climate, car.start])


@storyline(VEHICLE, MESSAGES, can_crowd=True)
def car_message(story: StoryBuilder) -> None:
    """Change a setting, then send a message."""
    car, phone = Car(story), Phone(story)
    car.change_setting()
    phone.act(car.lights)


@storyline(VEHICLE, TICKETS, can_crowd=True)
def car_ticket(story: StoryBuilder) -> None:
    """Change a setting, then act on a ticket."""
    car, desk = Car(story), TicketDesk(story)
    car.change_setting()
    desk.find()
    story.go_on([desk.read])
