"""What pyproject.toml cannot say: fixtures and streams that the command needs, manual pages, completions."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["vmstate", "vmstate.*"]),
        "vmstate.fixtures",
        "vmstate.fixtures.streams",
    ],
    data_files=[
        (folder, [str(one) for one in sorted(Path(folder).iterdir())])
        for folder in (
            "share/man/man1",
            "share/bash-completion/completions",
            "share/zsh/site-functions",
            "share/fish/vendor_completions.d",
        )
    ],
    package_dir={"vmstate.fixtures": "fixtures", "vmstate.fixtures.streams": "streams"},
)
