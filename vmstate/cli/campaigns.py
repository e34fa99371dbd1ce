"""What the commands about changed streams have in common: the streams, and the destination they are for."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.fuzz.device import opened_device
from vmstate.fuzz.folder import FINDINGS, STATE
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.recipe import Recipe, read_recipes


def add_destination(parser: argparse.ArgumentParser) -> None:
    """What the streams are given to."""
    parser.add_argument(
        "--on",
        metavar="COMMAND",
        help="the destination, e.g. 'qemu-7.2 -machine pseries-7.2'; without, streams are only read",
    )
    parser.add_argument(
        "--against",
        metavar="PROGRAM",
        help="a real QEMU, started with the words of --on, and compared; or, alone, a whole command line",
    )
    parser.add_argument(
        "--device", metavar="FILE", help="a device of your own instead: a Python file (docs/fuzzing.md)"
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="seconds QEMU may take for a stream"
    )


def plan_of(options: argparse.Namespace, bases: Sequence[Base]) -> Plan:
    """What the options ask for.  Raises ConfigurationError for what does not go together."""
    device = None
    if options.device is not None:
        if options.on is not None or options.against is not None or bases:
            raise ConfigurationError("--device is its own destination, and has its own stream")
        device = (options.device, Path(options.device).read_text(encoding="utf-8"))
        bases = (base_of_device(*device),)
    if not bases:
        raise ConfigurationError("give streams to be changed (or --device FILE)")
    real = None if options.against is None else _real(options.against, options.on)
    return Plan(tuple(bases), on=options.on, real=real, device=device, timeout=options.timeout)


def _real(against: str, on: str | None) -> tuple[str, ...]:
    """The real QEMU's command line: with the words of the simulated one, or, without it, its own."""
    if on is not None:
        return (against, *shlex.split(on)[1:])
    program, *words = shlex.split(against)
    if not words:
        text = "how is that QEMU started?  --on 'qemu-7.2 -machine pseries-7.2 -m 256', which is compared; or"
        raise ConfigurationError(f"{text} --against 'qemu-system-x86_64 -machine pc', which is not")
    return program, *words


def base_of_device(path: str, text: str) -> Base:
    """The stream that the device of a file sends."""
    return Base.of(Path(path).stem, opened_device(path, text).stream())


def plan_of_folder(folder: Path) -> Plan:
    """The plan of the campaign that a folder has.  Raises ConfigurationError if it has none, OSError."""
    try:
        told: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))["plan"]
        bases = [
            Base.read(str(folder / "streams" / f"{b['name']}.mig.zst"), whole=True) for b in told["bases"]
        ]
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in told.items()
            if name not in {"bases", "only"}
        }
        return replace(Plan(tuple(bases)), **known)
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} is not the folder of a campaign: there is no {STATE}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder}: not the folder of a campaign: {error!r}") from None


def recipes_and_plan(options: argparse.Namespace) -> tuple[list[Recipe], Plan]:
    """The recipes that are named: files, or a campaign's folder, which knows its streams and destination.

    Raises ConfigurationError, OSError.
    """
    recipes: list[Recipe] = []
    plan: Plan | None = None
    for name in options.recipes:
        path = Path(name)
        if name != "-" and path.is_dir():
            plan = plan or plan_of_folder(path)
            recipes += read_recipes(str(path / FINDINGS))
        else:
            recipes += read_recipes(name)
    if not recipes:
        raise ConfigurationError(f"{', '.join(options.recipes)}: there are no recipes in it")
    given = [Base.read(path, whole=options.whole) for path in options.stream]
    if plan is None or given or options.on or options.device:
        plan = plan_of(options, given)
    return recipes, plan
