"""Named changes of a stream: small functions with declared parameters, so that a report can quote them."""

from __future__ import annotations

from vmstate.fuzz.mutations import (
    anywhere,
    commands,
    configuration,
    counts,
    footers,
    htab,
    pci,
    pseries,
    ram,
    ram_setup,
    sections,
    strings,
    subsections,
    truncation,
    values,
    vmdesc,
)
from vmstate.fuzz.mutations.registry import MUTATIONS, Mutation, mutation

#: The modules that declare mutations; importing them registers all of them.
MODULES = (
    anywhere, commands, configuration, counts, footers, htab, pci, pseries, ram, ram_setup, sections, strings,
    subsections, truncation, values, vmdesc,
)  # fmt: skip

__all__ = ["MODULES", "MUTATIONS", "Mutation", "mutation"]
