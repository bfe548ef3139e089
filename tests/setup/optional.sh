# shellcheck shell=bash
# Sets up what single tests need and `tests/setup/install` does not bring. Sourced from the top folder. Each function
# says why when it fails, so that the caller can name what is left untested.

# shellcheck source=tests/setup/requirements.sh
source tests/setup/requirements.sh

# Debian packages, as root. What shows that they are there: programs or files, as in apt-packages.txt.
ensure_packages() { # signs, in one text; packages, in one text
  local sign missing=
  for sign in $1; do is_there "$sign" || missing=1; done
  [[ -n $missing ]] || return 0
  if ((EUID != 0)) || ! type apt-get >/dev/null 2>&1; then
    echo "Debian packages are missing: \"sudo apt-get install --no-install-recommends $2\"." >&2
    return 1
  fi
  echo "Installing Debian packages: $2" >&2
  # The lists may be missing or too old: then once more, with new ones.
  # shellcheck disable=SC2086 # lists
  {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $2 ||
      { apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $2; }
  } >/dev/null 2>&1 || { echo "these Debian packages cannot be installed: $2" >&2; return 1; }
}

# Rust's standard library for another processor.
ensure_target() { # target
  rustup target add "$1" >/dev/null 2>&1 ||
    { echo "\"rustup target add $1\" does not work on this machine." >&2; return 1; }
}

# The nightly compiler, with these components.
ensure_nightly() { # components, in one text; may be empty
  rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal >/dev/null 2>&1 ||
    { echo "\"rustup toolchain install nightly\" does not work on this machine." >&2; return 1; }
  # shellcheck disable=SC2086 # a list
  [[ -z $1 ]] || rustup component add --toolchain nightly $1 >/dev/null 2>&1 ||
    { echo "\"rustup component add --toolchain nightly $1\" does not work on this machine." >&2; return 1; }
}
