"""Add captured streams to streams/: guest memory removed, compressed, with a line in the manifest.

    tools/add_streams.py FACTS.jsonl STREAM.mig…

FACTS has a JSON object a line, with the "name" of each stream (its file name without .mig) and how it was
captured: at least "release" and "args".  An existing stream is replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import zstandard

from vmstate.stream import open_stream, strip

STREAMS = Path(__file__).resolve().parent.parent / "streams"
MANIFEST = STREAMS / "manifest.jsonl"
KEPT = (
    "name",
    "binary",
    "release",
    "args",
    "guest",
    "booted_seconds",
    "capabilities",
    "parameters",
    "stderr",
)


def rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return a manifest's rows by name."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def without_folders(argument: str) -> str:
    """Return a command-line argument without the folders of the files in it."""
    return re.sub(r"(=|^)/[^,]*/", r"\1", argument)


def main() -> None:
    """Strip, compress and describe the streams."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("facts", type=Path)
    parser.add_argument("streams", type=Path, nargs="+")
    options = parser.parse_args()
    facts, manifest = rows(options.facts), rows(MANIFEST)
    for path in options.streams:
        data = strip(open_stream(path)).tobytes()
        row = {key: facts[path.stem][key] for key in KEPT if key in facts[path.stem]}
        row["args"] = [without_folders(argument) for argument in row["args"]]
        if not row.get("binary", "").startswith("qemu-system-"):
            row.pop("binary", None)
        row |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest[path.stem] = row
        compressed = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(data)
        (STREAMS / f"{path.stem}.mig.zst").write_bytes(compressed)
        print(f"{path.stem}: {len(data)} bytes, {len(compressed)} compressed")
    MANIFEST.write_text("".join(json.dumps(row) + "\n" for row in manifest.values()))


if __name__ == "__main__":
    main()
