"""Stories in a car: start it, drive far, fill it up, look after the tires, and write about it."""

from __future__ import annotations

from envtune.playground import codes, values
from envtune.playground.phrases.vehicle import (
    BRAKE,
    CLIMATE,
    CRUISE,
    DISTANCE,
    FEASIBLE,
    FILL,
    FILL_IT,
    LIGHTS,
    LITERS,
    NAVIGATE,
    NAVIGATE_THERE,
    SHOP,
    START,
    STATUS,
    TIRES,
)
from envtune.playground.storylines.messages import MESSAGES, Phone
from envtune.playground.storylines.tickets import TICKETS, TicketDesk
from envtune.playground.tale import Storyline, Tale, storyline

VEHICLE = "VehicleControlAPI"
DOORS = ["driver", "passenger", "rear_left", "rear_right"]


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
