"""The paper's claims, and what each needs before it can be judged."""

STATEMENTS = {
    1: "The regret of neurons in each conv layer grows like sqrt(N), on average and "
    "individually (Fig. 3a)",
    2: "The loss of neurons lies above their Taylor optimum, regret between (Fig. 3b-c)",
    3: "The convnet's layer-2 regret grows like sqrt(N) for Adam, RMSProp and SGD; SGD "
    "varies most (Fig. 4a)",
    4: "The autoencoder's regret grows like sqrt(N) for Adam, RMSProp and SGD, in layer 3 "
    "and in the other layers (Fig. 4b)",
    5: "Adaptive optimizers incur lower loss, and a smaller gap to the Taylor optimum, than "
    "SGD (Fig. 4c)",
    6: "RMSProp explores far more than SGD: three measures, two tasks, every SGD learning "
    "rate (Fig. 5)",
    7: "Adam explores less than RMSProp and more than SGD by Hamming distance and switches "
    "(Fig. 5a-b)",
    8: "Adam's about 40 most exploratory neurons match RMSProp's, with a sharp drop from "
    "neuron 60 (Fig. 5c)",
    9: "Autoencoder: Adam has the lowest training loss, RMSProp's is well below SGD's (Fig. 6)",
    10: "Convnet: all optimizers reach a small loss and at least 99% training accuracy; SGD "
    "is slightly noisier (Fig. 6)",
    11: "regret(N)/N falls like 1/sqrt(N) at network, layer and neuron scale (Theorem 2)",
    12: "Convnets on MNIST behave alike",
}

_NEURONS = "needs the convnet on CIFAR-10 with records of neurons"
_EXPLORATION = "needs activation configurations of the convnet and the autoencoder"

# What the claims that `compare` has no criterion for wait for.
NEEDS = {
    1: _NEURONS,
    2: _NEURONS,
    3: "needs the convnet on CIFAR-10 with a record of layer 2",
    6: _EXPLORATION,
    7: _EXPLORATION,
    8: "needs activation configurations of the autoencoder",
    10: "needs the convnet on CIFAR-10 with its training accuracy",
    11: "needs regret of any layer",
    12: "needs the convnet on MNIST",
}
