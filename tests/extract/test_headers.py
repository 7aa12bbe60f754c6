"""Silence while headers are read: of this thread only, whatever other threads begin and end meanwhile."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest

from fairlead.extract.headers import quiet_readers


def test_a_warning_while_headers_are_read_is_dropped_and_one_after_it_is_not() -> None:
    with quiet_readers():
        warnings.warn("Zelda Quibbleworth", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_two_threads_do_not_end_each_others_silence() -> None:
    inner_done, outer_in = threading.Event(), threading.Event()
    escaped: list[BaseException] = []

    def outer() -> None:
        try:
            with quiet_readers():
                outer_in.set()
                assert inner_done.wait(10)
                warnings.warn("Zelda Quibbleworth", UserWarning, stacklevel=1)
        except (Warning, AssertionError) as error:
            escaped.append(error)

    def inner() -> None:
        outer_in.wait(10)
        with quiet_readers():
            warnings.warn("Zelda Quibbleworth", UserWarning, stacklevel=1)
        inner_done.set()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=one) for one in (outer, inner)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert escaped == []


def test_another_thread_still_hears_its_own_warnings() -> None:
    heard: list[str] = []

    def warn() -> None:
        try:
            warnings.warn("heard", UserWarning, stacklevel=1)
        except UserWarning as warning:
            heard.append(str(warning))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_readers():
            thread = threading.Thread(target=warn)
            thread.start()
            thread.join(20)
    assert heard == ["heard"]


def test_log_lines_are_dropped_and_errors_counted(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_readers() as told:
        logging.getLogger("tifffile").error("Zelda Quibbleworth")
        with quiet_readers() as within:
            logging.getLogger("pydicom").warning("Zelda Quibbleworth")
    assert (told.errors, within.errors) == (1, 0)
    assert caplog.text == ""
