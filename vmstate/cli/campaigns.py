"""Options shared by the commands that change streams: the streams and their destination."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError
from vmstate.fuzz.device import opened_device
from vmstate.fuzz.folder import FINDINGS, STATE
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.recipe import Recipe, read_recipes


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose the destination."""
    parser.add_argument(
        "--on",
        metavar="COMMAND",
        help="a simulated destination, e.g. 'qemu-7.2 -machine pseries-7.2' (default: only read the streams)",
    )
    parser.add_argument(
        "--against",
        metavar="PROGRAM",
        help="a real QEMU to compare with, started with the arguments of --on; or a whole command line",
    )
    parser.add_argument(
        "--device", metavar="FILE", help="test a device of your own instead: a Python file (docs/fuzzing.md)"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds that QEMU may take for each stream (default: 10)",
    )


def plan_of(options: argparse.Namespace, bases: Sequence[Base]) -> Plan:
    """Return the plan of the options.  Raises ConfigurationError for options that exclude each other."""
    device = None
    if options.device is not None:
        if options.on is not None or options.against is not None or bases:
            raise ConfigurationError(
                "--device has its own stream and destination: it excludes STREAM, --on and --against"
            )
        device = (options.device, Path(options.device).read_text(encoding="utf-8"))
        bases = (base_of_device(*device),)
    if not bases:
        raise ConfigurationError("a stream to change is required (or --device FILE)")
    real = None if options.against is None else _real(options.against, options.on)
    return Plan(tuple(bases), on=options.on, real=real, device=device, timeout=options.timeout)


def _real(against: str, on: str | None) -> tuple[str, ...]:
    """Return the real QEMU's command line: with the arguments of the simulated one, or its own."""
    if on is not None:
        return (against, *shlex.split(on)[1:])
    program, *words = shlex.split(against)
    if not words:
        text = (
            "--against needs --on 'qemu-7.2 -machine pseries-7.2 -m 256' to compare with, or a command line:"
        )
        raise ConfigurationError(f"{text} --against 'qemu-system-x86_64 -machine pc'")
    return program, *words


def base_of_device(path: str, text: str) -> Base:
    """Return the stream that the device of a file sends."""
    return Base.of(Path(path).stem, opened_device(path, text).stream())


def plan_of_folder(folder: Path) -> Plan:
    """Read the plan of a campaign's folder.  Raises ConfigurationError if it is not one, OSError."""
    try:
        declared: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))["plan"]
        bases = [
            Base.read(str(folder / "streams" / f"{b['name']}.mig.zst"), whole=True) for b in declared["bases"]
        ]
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in declared.items()
            if name not in {"bases", "only"}
        }
        return replace(Plan(tuple(bases)), **known)
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} is not the folder of a campaign: it has no {STATE}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder}: not the folder of a campaign: {error!r}") from None


def _agreed(plan: Plan, folder: Path, options: argparse.Namespace) -> Plan:
    """Return the plan with what the caller agrees to run: a folder alone starts no program and no code.

    Raises ConfigurationError if the caller must name it again.
    """
    if options.device is not None or options.on is not None:
        return plan  # replaced by the caller's own
    if plan.device is not None:
        raise ConfigurationError(
            f"{folder}: its campaign ran the Python file {plan.device[0]}, and a folder's code is not run "
            f"unasked; if you trust the file, add --device {shlex.quote(plan.device[0])}"
        )
    if options.against is not None:
        return replace(plan, real=_real(options.against, plan.on))
    if plan.real is not None:
        raise ConfigurationError(
            f"{folder}: its campaign asked {shlex.join(plan.real)}, and a folder's program is not started "
            f"unasked; if you trust it, add --against {shlex.quote(plan.real[0])}"
        )
    return plan


def recipes_and_plan(options: argparse.Namespace) -> tuple[list[Recipe], Plan]:
    """Read the given recipes: files, or a campaign's folder, which has its streams and destination.

    Raises ConfigurationError, OSError.
    """
    recipes: list[Recipe] = []
    plan: Plan | None = None
    for name in options.recipes:
        path = Path(name)
        if name != "-" and path.is_dir():
            plan = plan or _agreed(plan_of_folder(path), path, options)
            recipes += read_recipes(str(path / FINDINGS))
        else:
            recipes += read_recipes(name)
    if not recipes:
        raise ConfigurationError(f"{', '.join(options.recipes)}: no recipes found")
    given = [Base.read(path, whole=options.whole) for path in options.stream]
    if plan is None or given or options.on or options.device:
        plan = plan_of(options, given)
    return recipes, plan
