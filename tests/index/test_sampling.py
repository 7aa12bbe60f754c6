"""A sample is even, and the arrays compute what the plain formula says."""

from __future__ import annotations

import numpy as np

from fairlead.index.sampling import draw_of, shuffled, smallest, start_of

WORD = 2**64 - 1


def plain(draw: int, seed: int) -> int:
    """Return SplitMix64's finaliser in unbounded integers."""
    x = draw ^ start_of(seed)
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & WORD
    return (x ^ x >> 31) >> 11


def test_the_shuffle_is_the_published_one() -> None:
    draws = [draw_of(f"local:default:1.2.{number}") for number in range(50)]
    assert shuffled(np.array(draws, dtype=np.int64), 3).tolist() == [plain(draw, 3) for draw in draws]


def test_every_record_is_drawn_about_as_often_as_any_other() -> None:
    draws = np.array([draw_of(f"local:default:1.2.{number}") for number in range(20)], dtype=np.int64)
    times = np.zeros(20, dtype=np.int64)
    for seed in range(2_000):
        times[smallest(shuffled(draws, seed), 5)] += 1
    assert times.sum() == 10_000
    # 2,000 draws of 5 of 20: mean 500, standard deviation 19; six of them leave room for any shuffle that is fair
    assert 385 < times.min() <= times.max() < 615


def test_a_sample_of_none_and_of_more_than_there_are() -> None:
    places = np.array([5, 3, 9], dtype=np.uint64)
    assert (smallest(places, 0).tolist(), smallest(places, 2).tolist(), smallest(places, 9).tolist()) == ([], [1, 0], [1, 0, 2])
