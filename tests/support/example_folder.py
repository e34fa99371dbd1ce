"""A folder with the files that the commands' examples name."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path

from vmstate.cli import main

ROOT = Path(__file__).resolve().parents[2]
STREAM = ROOT / "streams" / "7.2-max-compat-power8.mig.zst"
MACHINE = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"


def fill(folder: Path) -> None:
    """Put the files into a folder."""
    shutil.copy(STREAM, folder / "guest.mig")
    shutil.copy(ROOT / "streams" / "7.2-pseries-7.2.mig.zst", folder / "other.mig")
    rows = f'{{"source": "{MACHINE}", "destination": "{MACHINE}", "stream": "guest.mig", "name": "one"}}\n'
    (folder / "rows.jsonl").write_text(rows)
    with redirect_stdout(io.StringIO()) as shown:
        main(["show", str(folder / "guest.mig"), "--json"])
    (folder / "guest.json").write_text(shown.getvalue())
    (folder / "guest.log").write_text("qemu: load of migration failed: Invalid argument\n")
    for name in ("mine", "other"):
        text = f'from vmstate.proposals import *\nproposal = Proposal("{name}", "7.2", "a subject")\n'
        (folder / f"{name}.py").write_text(text)
    (folder / "release.py").write_text('DECLARATIONS = ("11.2.0",)\n')
    shutil.copy(ROOT / "docs" / "examples" / "ring.py", folder)
