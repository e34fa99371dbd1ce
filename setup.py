"""What pyproject.toml cannot say: fixtures and streams that the command needs are installed with it."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["vmstate", "vmstate.*"]),
        "vmstate.fixtures",
        "vmstate.fixtures.streams",
    ],
    package_dir={"vmstate.fixtures": "fixtures", "vmstate.fixtures.streams": "streams"},
)
