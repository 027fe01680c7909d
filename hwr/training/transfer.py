"""Starting from the weights of another model, also one with another alphabet."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from hwr.errors import InputError


@torch.no_grad()
def adopt(model: nn.Module, labels: Sequence[str], weights: Mapping[str, Tensor], known: Sequence[str]) -> list[str]:
    """Copy the weights of another model of the same architecture into a new one.

    The last layer has one row a character: rows of characters that both alphabets have are copied, those of new ones
    stay as they are.

    Args:
        model: The new network; changed in place.
        labels: Its alphabet.
        weights: The other's state.
        known: The other's alphabet.

    Returns:
        The characters that both have.

    Raises:
        InputError: The networks differ in more than their last layer.
    """
    common = [label for label in labels if label in known]
    new, old = ([alphabet.index(label) for label in common] for alphabet in (list(labels), list(known)))
    own = model.state_dict()
    head = list(own)[-2:]  # the last layer's weight and bias
    for name, value in own.items():
        other = weights.get(name)
        if other is None or other.shape[1:] != value.shape[1:] or not (name in head or other.shape == value.shape):
            raise InputError(f"--init does not fit: its {name} has another shape than this model's")
        if name in head:
            value[new] = other[old].to(value)
        else:
            value.copy_(other)
    return common
