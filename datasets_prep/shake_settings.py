"""How strongly :mod:`datasets_prep.shake` blurs and spoils pictures, and the flags that say so."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields

from datasets_prep.errors import raise_if_any

SHARES = ('sharp', 'steady', 'defocus', 'video')


@dataclass(frozen=True)
class ShakeSettings:
    """How strongly pictures are blurred and spoiled; each draw is uniform from 0 (JPEG: from `quality`) up.

    Attributes:
        exposures: of each picture.
        sharp: share of the exposures that are left as they are.
        steady: share of the others in which the camera hardly moves, but parts do.
        path: longest path of the camera, pixels.
        turn: longest walk of its turn, degrees.
        parts: most moving parts.
        part_path: longest own path of a part, pixels.
        defocus: share of the exposures that are out of focus, as a whole or in part, before they are blurred.
        video: share of the shaken exposures that are means of 3 to 11 frames, of paths twice as long.
        boost: how much brighter than white the brightest lights are at most; the truth is clipped there, too.
        noise: largest deviation of the noise of white, in linear light.
        quality: lowest quality of JPEG; a third of the exposures is not compressed.
        largest_side: larger pictures are reduced to it, pixels.
        seed: another one draws other exposures.
    """

    exposures: int = 8
    sharp: float = 0.1
    steady: float = 0.2
    path: float = 18.0
    turn: float = 1.2
    parts: int = 2
    part_path: float = 14.0
    defocus: float = 0.0
    video: float = 0.0
    boost: float = 2.0
    noise: float = 0.02
    quality: int = 75
    largest_side: int = 800
    seed: int = 2026

    @property
    def left_alone(self) -> int:
        """How many exposures of a picture are left sharp: the first ones."""
        return round(self.sharp * self.exposures)

    def problems(self) -> Iterator[str]:
        """What is out of range, a message each."""
        for field in fields(self):
            value, flag = getattr(self, field.name), f'--{field.name.replace("_", "-")}'
            if field.name in SHARES and not 0 <= value <= 1:
                yield f'{flag} {value}: expected a share from 0 to 1'
            elif field.name == 'quality' and not 1 <= value <= 100:
                yield f'{flag} {value}: expected a quality from 1 to 100'
            elif field.name in ('exposures', 'largest_side') and value < 1:
                yield f'{flag} {value}: expected 1 or more'
            elif value < 0:
                yield f'{flag} {value}: expected 0 or more'


def add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for each of :class:`ShakeSettings`."""
    told = dict(
        line.strip().split(': ', 1)
        for line in (ShakeSettings.__doc__ or '').partition('Attributes:')[2].splitlines()
        if ': ' in line
    )
    for field in fields(ShakeSettings):
        parser.add_argument(
            f'--{field.name.replace("_", "-")}',
            type=type(field.default),
            default=field.default,
            help=f'{told[field.name]} (default %(default)s)',
        )


def settings_of(arguments: argparse.Namespace) -> ShakeSettings:
    """The settings that a command line gives.

    Raises:
        PrepError: one is out of range; all are named.
    """
    settings = ShakeSettings(**{field.name: getattr(arguments, field.name) for field in fields(ShakeSettings)})
    raise_if_any(list(settings.problems()))
    return settings
