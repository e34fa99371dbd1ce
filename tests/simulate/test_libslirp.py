"""User-mode networking is loaded by libslirp, not by QEMU's loader: recorded from real 7.2.22 to 11.1.3."""

from __future__ import annotations

import pytest

from tests.support.bases import loaded

NAME = "10.0-default"
FAILED = ["error while loading state for instance 0x0 of device 'slirp'"]
INVALID = [*FAILED, "load of migration failed: Invalid argument"]


def lines(*steps: tuple[str, dict[str, object]]) -> list[str]:
    """Return the lines without those of capabilities that TCG does not have."""
    return [line for line in loaded(NAME, *steps).messages if "cap-" not in line]


def test_the_library_reports_a_connection_of_an_unknown_family():
    endless = "queue-endless", {"queue": "slirp.sockets", "mark": 255, "times": 1000}
    assert lines(endless) == [
        "Slirp: invalid ss_family type ffff",
        "warning: Slirp: Failed to load slirp-socket-addr:tmp",
        "warning: Slirp: Failed to load slirp-socket:fhost",
        *INVALID,
    ]


@pytest.mark.parametrize("client", [10, 13])
def test_the_library_does_not_see_the_end_of_the_stream(client):
    field = f"slirp.bootp_clients[{client}].allocated"
    assert lines(("cut-in-field", {"field": field, "bytes_in": 0})) == [
        "check_section_footer: Read section footer failed: -5",
        "load of migration failed: Invalid argument",
    ]


def test_the_library_does_not_see_subsections():
    unknown = "subsection-unknown", {"section": "slirp", "name": "x", "size": 0}
    assert lines(unknown) == [
        "Missing section footer for slirp",
        "load of migration failed: Invalid argument",
    ]
