"""Proposals: the declarations and rules that a patch would change in a release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from vmstate.describe import VMStateDescription
from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.pattern import pattern
from vmstate.pseries.catalogue import CATALOGUE, Catalogue, Declaration
from vmstate.pseries.changes import HOOK_NAMES, RULE_NAMES, Hook, Redescribed, Rule
from vmstate.similar_names import did_you_mean

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Redescribe = Callable[[VMStateDescription], VMStateDescription]
_NAME = pattern(r"[\w.-]+")


class Proposal:
    """A patch to review: ``qemu-ON+NAME`` is the program that has it.

    ``on`` is the release that it was written for (``4.2``), or another proposal for it on which this one is
    based (``4.2+NAME``); ``says`` is the patch's subject line; the rest are its declarations (capabilities,
    differences of machine types, subsections, hosts).  ``later``: releases after ``on`` have it too, as they
    would if it were merged; otherwise they stay as they are.

    Raises DeclarationError for a name that a command line cannot hold.
    """

    def __init__(
        self, name: str, on: str, says: str, *declarations: Declaration, later: bool = False
    ) -> None:
        if not _NAME.fullmatch(name):
            raise DeclarationError(
                f"a proposal's name consists of letters, digits, '-', '_' and '.': {name!r}"
            )
        self.name = name
        self.on = on
        self.release, _, self.base = on.partition("+")
        self.says = says
        self.later = later
        self.declarations: list[Declaration] = list(declarations)
        self.file = ""  # the file that makes it

    def __repr__(self) -> str:
        return f"Proposal({self.name!r}, on={self.on!r})"

    def adds(self, *declarations: Declaration) -> None:
        """Add declarations."""
        self.declarations.extend(declarations)

    def rule(self, function: _Function) -> _Function:
        """Replace the rule of the same name (vmstate.pseries.rules.replaceable.Rules) by ``function``.

        Its first argument is the existing rule; the others are those of the rule.  Raises DeclarationError
        if there is no such rule.
        """
        if function.__name__ not in RULE_NAMES:
            raise DeclarationError(
                f"no such rule: {function.__name__!r}{did_you_mean(function.__name__, RULE_NAMES) or ';'} "
                f"there are {', '.join(sorted(RULE_NAMES))}"
            )
        self.declarations.append(Rule(function.__name__, function))
        return function

    def hook(self, description: str, name: str) -> Callable[[_Function], _Function]:
        """Replace a description's hook by the function: ``@proposal.hook("cpu/compat", "needed")``.

        Its first argument is the existing hook, or None; the others are those that QEMU gives such a hook.
        Raises DeclarationError if there is no hook of this name.
        """
        if name not in HOOK_NAMES:
            hint = did_you_mean(name, HOOK_NAMES) or ";"
            raise DeclarationError(f"no such hook: {name!r}{hint} there are {', '.join(sorted(HOOK_NAMES))}")

        def register(function: _Function) -> _Function:
            self.declarations.append(Hook(description, name, function))
            return function

        return register

    def description(self, name: str) -> Callable[[_Redescribe], _Redescribe]:
        """Replace a description by the function's result: ``@proposal.description("spapr")``.

        The function gets the existing description, and returns one with other fields, subsections or versions
        (``dataclasses.replace``).
        """

        def register(function: _Redescribe) -> _Redescribe:
            self.declarations.append(Redescribed(name, function))
            return function

        return register

    def added_to(self, catalogue: Catalogue = CATALOGUE) -> Catalogue:
        """Return ``catalogue`` with this proposal added: ``qemu-RELEASE+NAME`` can be run in it.

        Raises ConfigurationError if it is based on a proposal that does not exist, or names what nothing has.
        """
        from vmstate.pseries.known_devices import check_descriptions  # imports all devices

        try:
            grown = catalogue.with_fork(self.name, *self.declarations, base=self.base)
            check_descriptions(grown.fork(self.name), self.declarations)
        except DeclarationError as error:
            where = self.file or f"proposal {self.name}"
            raise ConfigurationError(f"{where}: {error}") from None
        return grown
