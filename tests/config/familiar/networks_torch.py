"""Eleven small PyTorch networks that cover the layers which hls4ml reads; shapes without the batch."""

import torch
from torch import nn
from torch.nn import functional


def example(shape):
    return torch.zeros((2, *shape))


class Mixed(nn.Module):
    """Functions and methods beside modules."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 4)
        self.fc2 = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        x = functional.relu(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        x = torch.sigmoid(x)
        return functional.softmax(functional.leaky_relu(x, 0.1), dim=-1)


class Joined(nn.Module):
    def forward(self, a, b):
        c = a + b
        d = a * b - c
        return torch.cat((c, d), dim=1)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(3, 2, batch_first=True)

    def forward(self, x):
        x, _ = self.rnn(x)
        return x


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 4))
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x + self.body(x))


class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, x):
        x = functional.max_pool2d(self.conv(x), 2)
        return torch.flatten(x, 1)


def mlp():
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(dim=-1))


def activations():
    kinds = (nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.LeakyReLU(0.1), nn.PReLU(), nn.ReLU(), nn.Threshold(0.5, 0.0))
    return nn.Sequential(*kinds)


def conv1d():
    return nn.Sequential(
        *(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.MaxPool1d(2), nn.AvgPool1d(2), nn.Flatten()),
        nn.Linear(6, 2),
    )


def conv2d():
    return nn.Sequential(
        *(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 3, 2)),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 2)),
    )


NETWORKS = {
    "mlp": (mlp, [(6,)]),
    "mixed": (Mixed, [(6,)]),
    "activations": (activations, [(4,)]),
    "conv1d": (conv1d, [(2, 10)]),
    "conv2d": (conv2d, [(2, 8, 8)]),
    "shapes": (Shapes, [(2, 4, 4)]),
    "lstm": (lambda: Recurrent(nn.LSTM), [(4, 3)]),
    "gru": (lambda: Recurrent(nn.GRU), [(4, 3)]),
    "rnn": (lambda: Recurrent(nn.RNN), [(4, 3)]),
    "joined": (Joined, [(4,), (4,)]),
    "blocks": (Blocks, [(3, 4)]),
}
