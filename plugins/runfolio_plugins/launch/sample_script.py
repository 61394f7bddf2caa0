"""The script of a new project."""

from __future__ import annotations

from typing import Final

SCRIPT: Final = '''\
"""Train a classifier on points in a plane. Needs nothing but Python: replace it with your own."""

import argparse
import json
import math
import random
from pathlib import Path

import runfolio as rf


def make_points(count, seed):
    """Two clouds of points, labelled 0 and 1, that overlap a little."""
    generator = random.Random(seed)
    points = []
    for number in range(count):
        label = number % 2
        centre = 1.0 if label else -1.0
        points.append((generator.gauss(centre, 1.0), generator.gauss(centre, 1.0), label))
    return points


def predict(weights, x, y):
    """The probability of label 1."""
    score = weights[0] * x + weights[1] * y + weights[2]
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, score))))


def loss_of(weights, points):
    """The mean cross entropy."""
    total = 0.0
    for x, y, label in points:
        p = min(max(predict(weights, x, y), 1e-12), 1.0 - 1e-12)
        total -= math.log(p if label else 1.0 - p)
    return total / len(points)


def accuracy_of(weights, points):
    """The share of points that are labelled rightly."""
    return sum((predict(weights, x, y) >= 0.5) == bool(label) for x, y, label in points) / len(points)


def train_step(weights, points, rate):
    """One step of gradient descent."""
    gradient = [0.0, 0.0, 0.0]
    for x, y, label in points:
        error = predict(weights, x, y) - label
        gradient[0] += error * x
        gradient[1] += error * y
        gradient[2] += error
    return [weight - rate * part / len(points) for weight, part in zip(weights, gradient)]


def curve(losses):
    """A picture of the loss, as SVG."""
    top = max(losses) or 1.0
    steps = max(len(losses) - 1, 1)
    line = " ".join(f"{20 + 360 * i / steps:.1f},{180 - 160 * loss / top:.1f}" for i, loss in enumerate(losses))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 200">'
        '<rect width="400" height="200" fill="white"/>'
        f'<polyline points="{line}" fill="none" stroke="steelblue" stroke-width="2"/></svg>'
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    run = rf.get_logger()  # the tracked run; with plain `python train.py`, a run of its own
    run.params.update(vars(arguments))
    run.define_metric("accuracy", goal="max")

    training, held_out = make_points(400, arguments.seed), make_points(200, arguments.seed + 1)
    weights, losses = [0.0, 0.0, 0.0], []
    for step in range(arguments.steps):
        losses.append(loss_of(weights, training))
        run.log("loss", losses[-1], step=step)
        weights = train_step(weights, training, arguments.learning_rate)
    accuracy = accuracy_of(weights, held_out)
    run.log("accuracy", accuracy)

    outputs = Path("outputs")  # what lies here at the end is stored with the run
    outputs.mkdir(exist_ok=True)
    (outputs / "model.json").write_text(json.dumps({"weights": weights}))
    (outputs / "loss.svg").write_text(curve(losses))
    print(f"accuracy {accuracy:.3f} after {arguments.steps} steps, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
'''
