"""One trial of the sweep: fits a line by gradient descent. ``python train.py --rate 0.1 --momentum 0.9``."""

import argparse
import random

import runfolio as rf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--momentum", type=float, default=0.0)
parser.add_argument("--steps", type=int, default=40)
arguments = parser.parse_args()

run = rf.get_logger()
run.params.update(vars(arguments))
run.define_metric("loss", goal="min")

chance = random.Random(0)
points = [(x, 3 * x - 1 + chance.gauss(0, 0.1)) for x in (chance.uniform(-1, 1) for _ in range(200))]
slope = offset = slope_speed = offset_speed = 0.0
for step in range(arguments.steps):
    errors = [(slope * x + offset - y, x) for x, y in points]
    run.log("loss", sum(error * error for error, _ in errors) / len(errors), step=step)
    slope_speed = arguments.momentum * slope_speed - arguments.rate * sum(e * x for e, x in errors) / len(errors)
    offset_speed = arguments.momentum * offset_speed - arguments.rate * sum(e for e, _ in errors) / len(errors)
    slope, offset = slope + slope_speed, offset + offset_speed
run.summary["slope"], run.summary["offset"] = slope, offset
