"""Regret of a network that TensorFlow has never seen: rounds as arrays, from a file.

A network of two layers in plain NumPy (with --torch the same one in PyTorch) trains on the shipped
digits and writes its rounds into rounds.npz: outputs, targets, weights, and the factors of G of its
second layer. `nta.regret_from_arrays` makes the table that `nta.regret` makes of our own runs.

    python examples/porting.py            # or: python examples/porting.py --torch
"""

import argparse

import numpy as np

import nta_tf as nta

HIDDEN, CLASSES = 32, 10
BATCH, STEPS, EVERY = 64, 200, 10
RATE = 0.1


def train_in_numpy(x, labels, rng):
    """Yields (outputs, labels, kernel, J, x_{l-1}) of every tenth minibatch."""
    w1 = rng.normal(size=(784, HIDDEN)) / np.sqrt(784)
    w2 = rng.normal(size=(HIDDEN, CLASSES)) / np.sqrt(HIDDEN)
    for step in range(STEPS):
        batch = rng.choice(len(x), BATCH, replace=False)
        hidden = np.maximum(x[batch] @ w1, 0)
        logits = hidden @ w2
        if step % EVERY == 0:  # the last layer is linear: J is one, and x_{l-1} the hidden layer
            jacobian = np.broadcast_to(np.eye(CLASSES), (BATCH, CLASSES, CLASSES))
            yield logits, labels[batch], w2.copy(), jacobian, hidden
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        error = (probabilities - np.eye(CLASSES)[labels[batch]]) / BATCH
        back = (error @ w2.T) * (hidden > 0)
        w2 -= RATE * hidden.T @ error
        w1 -= RATE * x[batch].T @ back


def train_in_torch(x, labels, rng):
    """The same in PyTorch, whose kernels are (p_l, p_{l-1}): transposed, or neuron_axis=0."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, HIDDEN, bias=False),
        torch.nn.ReLU(),
        torch.nn.Linear(HIDDEN, CLASSES, bias=False),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    x, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(labels, dtype=torch.long)
    for step in range(STEPS):
        batch = torch.tensor(rng.choice(len(x), BATCH, replace=False))
        hidden = model[:2](x[batch])
        logits = model[2](hidden)
        if step % EVERY == 0:
            jacobian = np.broadcast_to(np.eye(CLASSES), (BATCH, CLASSES, CLASSES))
            kernel = model[2].weight.detach().numpy().T.copy()
            yield logits.detach().numpy(), labels[batch], kernel, jacobian, hidden.detach().numpy()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, targets[batch]).backward()
        optimizer.step()


def main(arguments=None):
    """Trains, writes rounds.npz, reads it, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", action="store_true", help="train in PyTorch instead of NumPy")
    options = parser.parse_args(arguments)

    digits = nta.data.load("sample")
    x, labels = digits.x.reshape(-1, 784).astype(np.float64), digits.y
    train = train_in_torch if options.torch else train_in_numpy
    names = ("outputs", "labels", "kernel", "jacobian", "layer_input")
    rounds = zip(*train(x, labels, np.random.default_rng(0)))
    np.savez("rounds.npz", **{name: np.stack(arrays) for name, arrays in zip(names, rounds)})

    # From here on nothing is known but the file.
    saved = np.load("rounds.npz")
    table = nta.regret_from_arrays(
        saved["outputs"],  # (N, B, p_L), logits
        saved["labels"],  # (N, B)
        {"top": saved["kernel"]},  # (N, p_{l-1}, p_l)
        {"top": (saved["jacobian"], saved["layer_input"])},  # (J, x), or G itself
        loss="cross_entropy",
        checkpoints=5,
    )
    columns = ["round", "cumulative_loss", "taylor_optimum", "regret", "gap", "radius", "status"]
    print(table[columns].to_string(index=False, float_format="{:.4g}".format))
    return table


if __name__ == "__main__":
    main()
