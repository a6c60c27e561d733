"""Made-up speech: spectrograms of five words that are told apart by how their resonances move, and of what is none of them.

Each word is a sequence of two or three vowel-like sounds, each with two resonances (formants); voices differ in height and speed,
words begin at different times, and there is noise. A frame is 20 ms of sound in 16 bands from 100 Hz to 4 kHz, equally wide
to the ear.
"""

from __future__ import annotations

import numpy as np
from examples.figures import Floats

FRAMES, BANDS = 32, 16
FRAME_MS = 20
WORDS = ("(none)", "yes", "no", "go", "stop", "left")

_SOUNDS = {"i": (280, 2400), "e": (500, 1900), "a": (750, 1250), "o": (480, 900), "u": (320, 750), "s": (2600, 3600)}
"""The two resonances of sounds, in hertz: of vowels as in textbooks of phonetics, and of a hiss."""

_SPOKEN = ("", "ies", "ou", "uo", "sao", "eis")


def _mel(hertz: np.ndarray | float) -> np.ndarray | float:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


_CENTERS = np.linspace(_mel(100), _mel(4000), BANDS)


def words(count: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Spectrograms of so many utterances, from 0 to about 1, and the indices of their words."""
    rng = np.random.default_rng(seed)
    spoken = rng.integers(0, len(WORDS), count)
    return np.stack([_spectrogram(rng, int(word)) for word in spoken]).astype(np.float32), spoken


def _spectrogram(rng: np.random.Generator, word: int) -> np.ndarray:
    noise = 0.18 * rng.random() * rng.random((FRAMES, BANDS)) + 0.03 * rng.random()
    sounds = _SPOKEN[word] or _other(rng)
    if not sounds:
        return noise
    length = int(rng.integers(5, 9)) * len(sounds)
    begin = int(rng.integers(0, max(FRAMES - length, 1)))
    where = np.linspace(0, len(sounds) - 1, length)
    known = np.array([_SOUNDS[sound] for sound in sounds])
    voice = rng.normal(1, 0.1)
    tracks = np.stack([np.interp(where, range(len(sounds)), known[:, k]) for k in range(2)], axis=1) * voice
    loud = rng.uniform(0.5, 1) * np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 0.5
    heard = np.zeros((FRAMES, BANDS))
    for track, share in ((tracks[:, 0], 1.0), (tracks[:, 1], 0.7)):
        peak = np.exp(-(((_CENTERS - _mel(track)[:, None]) / 150) ** 2))
        heard[begin : begin + length] += (share * loud[:, None] * peak)[: FRAMES - begin]
    return heard + noise


def _other(rng: np.random.Generator) -> str:
    """Silence, or sounds in an order that is none of the words."""
    if rng.random() < 0.3:
        return ""
    while True:
        sounds = "".join(rng.choice(list(_SOUNDS), rng.integers(2, 4)))
        if sounds not in _SPOKEN:
            return sounds
