"""What a person is asked to look at again: labels that are suspected to be wrong, and the least sure answers."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hwr.report.templates import Shown, Suspect


@dataclass(frozen=True)
class Card:
    """One input of the review.

    Attributes:
        shown: The input.
        suggestion: The label that its truth is suspected to stand in place of; None where nothing is suspected.
        least: Whether its answer is among the least sure.
    """

    shown: Shown
    suggestion: str | None
    least: bool

    @property
    def takes(self) -> str:
        """The label that a mere Enter gives it."""
        return self.shown.prediction if self.suggestion is None else self.suggestion

    @property
    def kinds(self) -> str:
        """The choices of the page that it belongs to, with spaces between."""
        return " ".join(["suspect"] * (self.suggestion is not None) + ["least"] * self.least)


def cards(suspects: Sequence[Suspect], least: Sequence[Shown], readable: Collection[str]) -> list[Card]:
    """The cards of the review: suspects first, then the least sure answers, an input once.

    Args:
        suspects: Inputs whose truth may be wrong, the likeliest first.
        least: The least sure answers, the least first.
        readable: The ids whose glyph is at hand; nobody can say what another one shows.
    """
    among = {shown.id for shown in least}
    made = {one.id: Card(one, one.suggestion, one.id in among) for one in suspects}
    for shown in least:
        made.setdefault(shown.id, Card(shown, None, least=True))
    return [card for card in made.values() if card.shown.id in readable]


def fingerprint(reviewed: Iterable[Card]) -> str:
    """A name for a review: another one where any of its inputs, truths or answers differs."""
    told = [[card.shown.id, card.shown.truth, card.shown.prediction, card.suggestion] for card in reviewed]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
