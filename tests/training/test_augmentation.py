"""Augmentation: what faces and their targets become."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import torch

from mien.training.augmentation import augment, mixed
from mien.training.config import TrainConfig

pytestmark = pytest.mark.training


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_faces_and_targets_are_blended_with_the_same_partner_by_the_same_share() -> None:
    faces = torch.arange(64.0).reshape(64, 1, 1, 1).expand(64, 1, 4, 4)
    targets = torch.eye(64)
    blended, shares = mixed(0.2, seeded(), faces, targets)
    assert blended.shape == faces.shape
    assert torch.allclose(shares.sum(1), torch.ones(64))
    assert torch.allclose(blended[:, 0, 0, 0], shares @ torch.arange(64.0), atol=1e-4)
    assert 1 < int((shares > 0).sum(1).max()) <= 2
    again, _ = mixed(0.2, seeded(), faces, targets)
    assert torch.equal(blended, again)
    other, _ = mixed(0.2, seeded(2), faces, targets)
    assert not torch.equal(blended, other)


def test_a_face_that_nothing_changes_stays_as_it_is_but_for_light_and_side() -> None:
    config = TrainConfig("d", "o", rotate=0, zoom=0, shift=0, erase=0)
    faces = torch.linspace(60, 180, 48).expand(200, 1, 48, 48)
    out = augment(faces, 48, config, seeded())
    rising = out[:, 0, 0, -1] > out[:, 0, 0, 0]
    assert 60 < int(rising.sum()) < 140  # the others are mirrored
    assert torch.allclose(out[rising].diff(dim=3).std((1, 2, 3)), torch.zeros(int(rising.sum())), atol=1e-3)
    assert augment(faces, 56, config, seeded()).shape == (200, 1, 56, 56)


def test_a_rectangle_is_blanked_in_the_share_that_is_asked_for() -> None:
    config = TrainConfig("d", "o", rotate=0, zoom=0, shift=0, erase=0.5)
    white = torch.full((400, 1, 48, 48), 255.0)
    blanked = (augment(white, 48, config, seeded()) == 129.0).flatten(1).any(1)
    assert 150 < int(blanked.sum()) < 250


def test_a_share_of_the_faces_is_coarsened_and_another_darkened() -> None:
    still = {"rotate": 0, "zoom": 0, "shift": 0, "erase": 0}
    fine = torch.tensor([60.0, 180.0]).repeat(24).expand(200, 1, 48, 48)
    plain, coarse = (augment(fine, 48, TrainConfig("d", "o", coarse=share, **still), seeded()) for share in (0.0, 0.5))
    assert plain.diff(dim=3).abs().mean((1, 2, 3)).min() > 50
    blurred = coarse.diff(dim=3).abs().mean((1, 2, 3)) < 20  # the stripes of one pixel are gone
    assert 60 < int(blurred.sum()) < 140
    dark = augment(fine, 48, TrainConfig("d", "o", dark=0.5, **still), seeded())
    assert 40 < int((dark.mean((1, 2, 3)) < 60).sum()) < 110  # light falls evenly on a scale of factors
    assert torch.equal(dark, dark.round()) or not torch.equal(plain, plain.round())
    assert plain.mean((1, 2, 3)).min() > 70


def test_a_share_of_the_faces_is_compressed_and_drawn_alike_each_time() -> None:
    still = {"rotate": 0, "zoom": 0, "shift": 0, "erase": 0}
    noise = torch.rand((200, 1, 48, 48), generator=seeded()) * 255
    plain, compressed, again = (
        augment(noise, 48, TrainConfig("d", "o", jpeg=share, **still), seeded()) for share in (0.0, 0.5, 0.5)
    )
    assert torch.equal(compressed, again)
    off = (compressed - plain).abs().mean((1, 2, 3))
    assert 60 < int((off > 1).sum()) < 140
    assert int((off == 0).sum()) == 200 - int((off > 1).sum())
