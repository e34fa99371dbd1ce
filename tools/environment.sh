# Sourced by the tools: makes a private environment (.venv in the clone) with the extras that the caller names.
#
#   prepare [EXTRA…]     the package itself, editable, with these extras of pyproject.toml
#   $VENV/bin/python     afterwards
#
# Needs Python 3.11 or newer and package registries.  Debian's bare python3 has neither ensurepip nor
# pip: then pip is taken from the system's pip, virtualenv, apt-get (as root), or straight from the registry
# that pip is configured for.
# A second run does nothing: the installed extras are recorded with the checksum of pyproject.toml and tools/ci.lock.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=${VMSTATE_VENV:-$ROOT/.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME
unset PYTHONDONTWRITEBYTECODE # tests start the command some hundred times, each time compiling all of it

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    say "vmstate needs Python 3.11 or newer; none found in PATH (name one with PYTHON=…)"
    return 1
}

make_venv() {
    local python=$1
    "$python" -m venv --clear "$VENV" >/dev/null 2>&1 && return 0
    if "$python" -m virtualenv --quiet --clear "$VENV" >/dev/null 2>&1; then return 0; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        { apt-get update && apt-get install -y --no-install-recommends python3-venv; } >/dev/null 2>&1 </dev/null
        "$python" -m venv --clear "$VENV" >/dev/null 2>&1 && return 0
    fi
    if ! "$python" -m venv --clear --without-pip "$VENV" >/dev/null 2>&1; then
        say "cannot make an environment in $VENV: $python has neither venv nor virtualenv."
        say "On Debian: apt-get install python3-venv"
        return 1
    fi
    if "$python" -m pip --python "$VENV/bin/python" install --quiet pip >/dev/null 2>&1; then return 0; fi
    "$VENV/bin/python" "$ROOT/tools/fetch_pip.py" && return 0
    say "cannot get pip into $VENV: no ensurepip, no pip, no package registry that answers."
    say "On Debian: apt-get install python3-venv"
    rm -rf "$VENV"
    return 1
}

# In CI, install the versions of tools/ci.lock, each with its checksum.  Return 1 where they are not used: outside of
# CI, or if the registry (a cache of other versions, perhaps) has not got them all; 2 if a checksum is wrong.
install_locked() {
    local said
    [ "${CI:-}" = true ] || return 1
    if said=$("$VENV/bin/python" -m pip install --quiet --require-hashes -r "$ROOT/tools/ci.lock" 2>&1 </dev/null); then
        return 0
    fi
    case $said in
    *"DO NOT MATCH THE HASHES"*)
        say "$said"
        return 2
        ;;
    esac
    say "not all versions of tools/ci.lock can be had here: installing what pyproject.toml allows"
    return 1
}

prepare() {
    local python extras mark stamp
    extras=$(IFS=,; printf '%s' "$*")
    if ! [ -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || return 1
        say "making an environment in $VENV"
        make_venv "$python" || return 1
    fi
    stamp="$VENV/.installed${extras:+-$extras}"
    mark="$ROOT $(cat "$ROOT/pyproject.toml" "$ROOT/tools/ci.lock" | cksum)"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$mark" ]; then return 0; fi
    say "installing vmstate${extras:+[$extras]} into it"
    install_locked || { [ $? = 1 ] || return 1; }
    if ! (cd "$ROOT" && "$VENV/bin/python" -m pip install --quiet -e ".${extras:+[$extras]}" </dev/null); then
        say "the installation failed (see above); it needs a package registry"
        return 1
    fi
    printf '%s' "$mark" >"$stamp"
}
