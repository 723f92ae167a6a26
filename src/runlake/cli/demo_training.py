"""The training of the demo: a small network learns two spirals and logs to a W&B backend.

The demo runs this module in a separate process, like any training job.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from runlake.cli.demo_recorder import open_recorder

N_POINTS = 600
N_HIDDEN = 32
BATCH = 64
Array = np.ndarray


def two_spirals(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points of two interleaved spirals, and the number of each point's spiral, 0 or 1."""
    turn = np.sqrt(rng.random(N_POINTS)) * 3 * np.pi
    label = rng.integers(0, 2, N_POINTS)
    angle = turn + np.pi * label
    points = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) / (3 * np.pi)
    return points + rng.normal(0, 0.01, points.shape), label.astype(float)


@dataclass
class Network:
    """A network with two hidden tanh layers and a logistic output, trained with Adam."""

    weights: list[Array]
    first_moments: list[Array]
    second_moments: list[Array]

    @classmethod
    def random(cls, rng: np.random.Generator) -> Network:
        """Return an untrained network; the last row of each matrix is the bias."""
        sizes = [(3, N_HIDDEN), (N_HIDDEN + 1, N_HIDDEN), (N_HIDDEN + 1, 1)]
        weights = [rng.normal(0, 1.5 / np.sqrt(rows), (rows, columns)) for rows, columns in sizes]
        return cls(weights, [w * 0 for w in weights], [w * 0 for w in weights])

    def activations(self, points: Array) -> list[Array]:
        """Return a list: each layer's input, with ones for the bias, then the probabilities."""
        layers = [_with_ones(points)]
        for weight in self.weights[:-1]:
            layers.append(_with_ones(np.tanh(layers[-1] @ weight)))
        layers.append(1 / (1 + np.exp(-(layers[-1] @ self.weights[-1])[:, 0])))
        return layers

    def gradients(self, points: Array, labels: Array) -> tuple[list[Array], float, float]:
        """Return gradients, mean cross-entropy and accuracy of a batch."""
        *layers, probability = self.activations(points)
        delta = (probability - labels)[:, None] / len(labels)
        gradients = []
        for layer, weight in zip(layers[::-1], self.weights[::-1], strict=True):
            gradients.append(layer.T @ delta)
            delta = (delta @ weight[:-1].T) * (1 - layer[:, :-1] ** 2)
        return gradients[::-1], *score(probability, labels)

    def step(self, gradients: list[Array], rate: float, count: int) -> None:
        """Update the weights with Adam (Kingma and Ba, 2015)."""
        moments = zip(self.first_moments, self.second_moments, strict=True)
        for weight, gradient, (first, second) in zip(self.weights, gradients, moments, strict=True):
            np.add(first, 0.1 * (gradient - first), out=first)
            np.add(second, 0.001 * (gradient**2 - second), out=second)
            scale = np.sqrt(second / (1 - 0.999**count)) + 1e-8
            np.subtract(weight, rate * first / (1 - 0.9**count) / scale, out=weight)


def score(probability: Array, labels: Array) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy of predicted probabilities."""
    right = np.where(labels == 1, probability, 1 - probability)
    return float(-np.log(right + 1e-9).mean()), float((right > 0.5).mean())  # noqa: PLR2004


def _with_ones(layer: Array) -> Array:
    return np.concatenate([layer, np.ones((len(layer), 1))], axis=1)


def train(project: str, run_id: str, n_steps: int) -> None:
    """Train the network, log every step, and log the validation at every 25th step.

    Parameters
    ----------
    project, run_id : str
        Project and id of the run to log to.
    n_steps : int
        Number of training steps, each with one batch.
    """
    rng = np.random.default_rng(7)
    points, labels = two_spirals(rng)
    held_out = N_POINTS // 4
    network = Network.random(rng)
    config = {"hidden": N_HIDDEN, "batch": BATCH, "lr": 0.01, "steps": n_steps}
    recorder = open_recorder(project, run_id, "two spirals", config)
    for step in range(n_steps):
        batch = rng.integers(held_out, N_POINTS, BATCH)
        rate = 0.01 * (1 - step / n_steps)
        gradients, loss, accuracy = network.gradients(points[batch], labels[batch])
        network.step(gradients, rate, step + 1)
        norm = float(np.sqrt(sum((g**2).sum() for g in gradients)))
        row: dict[str, object] = {"loss": loss, "acc": accuracy, "lr": rate, "grad_norm": norm}
        if step % 25 == 0:
            probability = network.activations(points[:held_out])[-1]
            val_loss, val_accuracy = score(probability, labels[:held_out])
            row["val"] = {"loss": val_loss, "acc": val_accuracy}
        recorder.log(row)
    recorder.finish()


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
