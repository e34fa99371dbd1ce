"""The pytest plugin: migration regression tests in a few lines (``docs/pytest.md``).

    def test_bump(migration):
        migration("qemu-10.0 -machine pseries-10.0").to("qemu-11.1 -machine pseries-10.0").accepts()

pytest loads this module in every run where vmstate is installed, so it imports nothing of the package until
a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmstate.plugin.asking import Asker
    from vmstate.plugin.cases import Migration
    from vmstate.plugin.layouts import Layouts

_MARKER = (
    "vmstate_matrix(machine='*', releases='', both_ways=True, cpu='', ic_mode='', host='tcg', option='', "
    "rest='-nodefaults -m 256', expect={}): parametrize `case` with a migration between each two releases"
)
_ASKER: pytest.StashKey[Asker] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("vmstate", "migrations of QEMU (vmstate)")
    group.addoption(
        "--qemu-binary",
        action="append",
        default=[],
        metavar="RELEASE=PATH",
        help="also run migrations from and to this release with a real QEMU; a disagreement with the "
        "simulator fails",
    )
    group.addoption("--update-golden", action="store_true", help="record golden streams again")
    group.addoption("--update-layouts", action="store_true", help="record layouts of descriptions again")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a ``case`` of each pair of a ``vmstate_matrix``."""
    marker = metafunc.definition.get_closest_marker("vmstate_matrix")
    if marker is None:
        return
    if "case" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: vmstate_matrix needs an argument named case")
    from vmstate.plugin.matrices import matrix_cases

    cases = matrix_cases(_asker(metafunc.config), marker, metafunc.definition.nodeid)
    metafunc.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture
def migration(request: pytest.FixtureRequest) -> Migration:
    """Migrations to check: ``migration("qemu-10.0 …").to("qemu-11.1 …").accepts()``."""
    from vmstate.plugin.cases import Migration

    return Migration(_asker(request.config), request.path.parent)


@pytest.fixture
def vmstate_layout(request: pytest.FixtureRequest) -> Layouts:
    """Layouts of descriptions, compared with recorded ones: ``vmstate_layout(DEVICE).unchanged()``."""
    from vmstate.plugin.layouts import Layouts

    return Layouts(request.path.parent, update=request.config.getoption("--update-layouts"))


def _asker(config: pytest.Config) -> Asker:
    if _ASKER not in config.stash:
        from vmstate.errors import ConfigurationError
        from vmstate.plugin.asking import Asker

        try:
            asker = Asker(
                config.getoption("--qemu-binary"), update_golden=config.getoption("--update-golden")
            )
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[_ASKER] = asker
    return config.stash[_ASKER]
