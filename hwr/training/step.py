"""One step: from a batch of glyphs to better weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses
from torch.nn.parallel import DistributedDataParallel

from hwr import augment
from hwr.augment import AugmentConfig
from hwr.device import as_input, autocast
from hwr.training.feed import Feed, Glyphs, seed
from hwr.training.ranks import Ranks
from hwr.training.recipe import Recipe
from hwr.training.state import Training


@dataclass(frozen=True)
class Step:
    """What every step of a run needs, on one rank.

    Attributes:
        training: The run; its weights, their average and the optimizer are updated in place.
        network: Its model, as called while training: it adds up gradients over ranks where there are several.
        recipe: Settings of the loop.
        augmentation: Settings of the augmentation.
        is_varied: Whether glyphs come augmented already.
        ranks: Who shares the work.
        size: Samples of a global batch.
        weights: What each class counts (C,) float32; None for all the same.
        prior: What to add to the scores of each class (C,) float32; None for nothing.
        following: The floating-point tensors of the running average.
        leading: Those of the model, in the same order.
    """

    training: Training
    network: nn.Module
    recipe: Recipe
    augmentation: AugmentConfig
    is_varied: bool
    ranks: Ranks
    size: int
    weights: Tensor | None
    prior: Tensor | None
    following: list[Tensor]
    leading: list[Tensor]

    @classmethod
    def of(cls, training: Training, feed: Feed, recipe: Recipe, augmentation: AugmentConfig, ranks: Ranks) -> "Step":
        """Prepare a run's steps."""
        network = _distributed(training.model) if ranks.world > 1 else training.model
        device = next(training.model.parameters()).device
        size = min(recipe.batch_size, int(feed.counts.sum()))
        return cls(
            training, network, recipe, augmentation, feed.is_varied, ranks, size,
            class_weights(feed.counts).to(device) if recipe.balance == "weights" else None,
            log_prior(feed.counts).to(device) if recipe.balance == "logits" else None,
            _floats(training.average), _floats(training.model),
        )  # fmt: skip

    def __call__(self, batch: Glyphs, epoch: int, step: int, steps: int) -> Tensor:
        """Learn from this rank's share of a batch.

        Args:
            batch: The share.
            epoch: Number of the epoch, from 1.
            step: Number of the step in it, from 0.
            steps: How many steps an epoch has.

        Returns:
            Summed loss, samples right and samples seen (3,) float64, on the device: adding them up needs no wait.
        """
        images, shares = self._input(batch, seed(self.recipe.seed, epoch, step))
        with autocast(images.device, self.recipe.precision):
            scores = self.network(images)
        loss = self._loss(scores.float(), batch.labels, shares)
        optimizer = self.training.optimizer
        optimizer.zero_grad(set_to_none=True)
        # DDP averages over ranks; this makes it the mean over the global batch even where ranks' shares differ by one.
        torch.autograd.backward(loss * self.ranks.world / self.size)
        if self.recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.training.model.parameters(), self.recipe.gradient_clip)
        optimizer.step()
        self._follow((epoch - 1) * steps + step)
        right = (scores.argmax(1) == batch.labels).sum()
        return torch.stack([loss.detach().double(), right.double(), loss.new_full((), len(batch), dtype=torch.float64)])

    def _input(self, batch: Glyphs, mixed: int) -> tuple[Tensor, Tensor | None]:
        """Augmented glyphs and, where they are mixed, the shares of their own labels."""
        # Every rank draws for the whole global batch and takes its share: the same variations for any number of ranks;
        # only the pairs that mixup mixes are those of one rank's share.
        generator = torch.Generator(batch.images.device).manual_seed(mixed)
        variation = augment.draw(self.size, batch.images.shape[-1], self.augmentation, generator)[self.ranks.share]
        torch.manual_seed(seed(mixed, self.ranks.rank))  # for dropout, which knows no generator
        images = as_input(batch.images)
        images = images if self.is_varied else augment.vary(images, variation)
        return (images if variation.shares is None else augment.mixup(images, variation.shares)), variation.shares

    def _loss(self, scores: Tensor, labels: Tensor, shares: Tensor | None) -> Tensor:
        """Summed cross-entropy; where glyphs are mixed, of both labels by their shares."""
        if self.prior is not None:
            scores = scores + self.prior

        def entropy(labels: Tensor) -> Tensor:
            losses = F.cross_entropy(scores, labels, reduction="none", label_smoothing=self.recipe.label_smoothing)
            # PyTorch's own weights would weigh each part of a smoothed label by that part's class, not by the sample's.
            return losses if self.weights is None else losses * self.weights[labels]

        own = entropy(labels)
        return (own if shares is None else torch.lerp(entropy(labels.roll(1, 0)), own, shares)).sum()

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the running average of weights and batch-norm statistics towards those of the model after a step.

        The first steps weigh more, so that the random weights at the start are soon forgotten.
        """
        decay = min(self.recipe.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.following, self.leading, 1 - decay)


def _distributed(model: nn.Module) -> nn.Module:
    # Batch-norm statistics are the first rank's at the end of an epoch (`Ranks.align`); nobody reads them before.
    return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


def class_weights(counts: Tensor) -> Tensor:
    """Weights (C,) float32 that make all classes count the same in all, and a sample 1 on average.

    Args:
        counts: Samples of each class (C,) int64; none is 0.
    """
    return (counts.sum() / (len(counts) * counts)).float()


def log_prior(counts: Tensor) -> Tensor:
    """Logarithms (C,) float32 of the classes' frequencies.

    Added to the scores while training, they explain what is due to frequency alone, so that the scores without them
    are those of a set in which all classes are equally frequent: Menon et al., "Long-tail learning via logit
    adjustment", 2021, https://arxiv.org/abs/2007.07314.

    Args:
        counts: Samples of each class (C,) int64; none is 0.
    """
    return (counts / counts.sum()).log().float()


def _floats(model: nn.Module) -> list[Tensor]:
    """Weights and statistics that can be averaged; a batch norm's count of batches cannot."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]
