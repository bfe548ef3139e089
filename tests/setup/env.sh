# shellcheck shell=bash
# The environment in which the tests and the demo run: `source tests/setup/env.sh`, from bash.
# What is already set stays as it is.

# Everything that is built or fetched once, outside of the clone.
export LINKAGE_CACHE=${LINKAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/linkage-operator}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LINKAGE_CACHE/target}

linkage_tools=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/tools
LINKAGE_PYTHON=${LINKAGE_PYTHON:-$("$linkage_tools" --where python | cut -d' ' -f2)/bin/python}
PATH=$("$linkage_tools" --path):$PATH
export LINKAGE_PYTHON PATH
unset linkage_tools
