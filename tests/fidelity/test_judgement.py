"""Where errors become too large, on both sides of each limit."""

from __future__ import annotations

import math

import pytest

from bitsmith.fidelity.judgement import AUTO_ERROR, LEAST_ERROR, LEAST_SNR_DB, _is_useless


@pytest.mark.parametrize("limit", [None, AUTO_ERROR, 2 * AUTO_ERROR])
@pytest.mark.parametrize("snr_db", [None, -math.inf, math.nextafter(LEAST_SNR_DB, 0.0), LEAST_SNR_DB, 40.0])
@pytest.mark.parametrize("error", [0.0, LEAST_ERROR, math.nextafter(LEAST_ERROR, 1.0), 0.5])
def test_noise_that_drowns_a_signal_counts_where_more_than_the_error_of_auto_is_excused(
    error: float, snr_db: float | None, limit: float | None
) -> None:
    drowned = snr_db is not None and snr_db < LEAST_SNR_DB and error in (math.nextafter(LEAST_ERROR, 1.0), 0.5)
    assert _is_useless(error, snr_db, 1e-9, limit) == (drowned and limit != AUTO_ERROR)


@pytest.mark.parametrize("varies", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("limit", [AUTO_ERROR, 0.5])
def test_errors_are_compared_as_shares_of_the_greatest_magnitude(limit: float, varies: float) -> None:
    assert not _is_useless(limit / varies, None, varies, limit)
    assert _is_useless(math.nextafter(limit, 1.0) / varies, None, varies, limit)
