"""What pyproject.toml cannot say: files of fixtures/ that the command needs are installed beside its code."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vmstate", "vmstate.*"]), "vmstate.fixtures"],
    package_dir={"vmstate.fixtures": "fixtures"},
)
