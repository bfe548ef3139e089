# shellcheck shell=bash
# What the tests and the demo need of the machine. Sourced by `check` and `install`, from the top folder.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where a user's PATH lacks what root's programs need

RUST=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
GO=1.26           # what helm asks for; any Go from 1.21 on fetches it by itself if it may
PYTHON=3.11
DISK_GB=20        # for all caches and builds
DISK_GB_AGAIN=6   # once these are there

# With the local cluster, or for a cluster of one's own that KUBECONFIG names: prints "cluster" or
# "without-cluster".
choose_cluster() { # option (optional)
  case ${1:-} in
  --cluster) echo cluster ;;
  --without-cluster) echo without-cluster ;;
  "") if [[ -z ${KUBECONFIG:-} || $KUBECONFIG == /var/lib/linkage-local-cluster/* ]]; then echo cluster; else echo without-cluster; fi ;;
  *) return 1 ;;
  esac
}

# What no Debian package gives, one a line.
missing_by_hand() { # "cluster" or "without-cluster"
  [[ $(uname -sm) == "Linux x86_64" ]] ||
    echo "Linux on x86-64: the object store comes as a program for that. This is $(uname -sm)."
  at_least "$RUST" "$(cargo --version 2>/dev/null | cut -d' ' -f2)" ||
    echo "Rust $RUST or newer, by https://rustup.rs: \"rustup toolchain install stable\". Debian's own is too old."
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    echo "rustfmt and clippy: \"rustup component add rustfmt clippy\"."
  fi
  go_is_there ||
    echo "Go $GO or newer, from https://go.dev/dl; or Go 1.21 or newer without GOTOOLCHAIN=local, which fetches it."
  at_least "$PYTHON" "$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)" ||
    echo "Python $PYTHON or newer as \"python3\": on Debian \"apt-get install python3 python3-venv\"."
  (($(free_gb) >= $(needed_gb))) ||
    echo "$(needed_gb) GB of free disk for caches and builds; there are $(free_gb). Set LINKAGE_CACHE to a folder on a larger disk."
  if [[ $1 == cluster ]]; then missing_for_cluster; else missing_for_own_cluster; fi
}

missing_for_cluster() {
  if ((EUID != 0)); then
    echo "root, for the namespaces, mounts and cgroups of the local cluster. Without root, set KUBECONFIG to a cluster of your own: see tests/local-cluster/README.md."
  elif type unshare >/dev/null 2>&1 && ! unshare --net --mount --pid --uts --ipc --fork true 2>/dev/null; then
    echo "the right to make namespaces: in a container, run it privileged; or set KUBECONFIG to a cluster of your own: see tests/local-cluster/README.md."
  fi
}

missing_for_own_cluster() {
  if [[ -z ${KUBECONFIG:-} ]]; then
    echo "KUBECONFIG, set to the configuration of your own cluster."
  elif ! [[ -r ${KUBECONFIG%%:*} ]]; then
    echo "the file that KUBECONFIG names: $KUBECONFIG."
  fi
}

# The Debian packages that are not there: their names, one a line.
missing_packages() { # "cluster" or "without-cluster"
  local section package sign _
  while read -r package sign _; do
    case $package in
    "" | \#*) ;;
    \[*) section=$package ;;
    *) [[ $section == "[cluster]" && $1 != cluster ]] || is_there "$sign" || echo "$package" ;;
    esac
  done <tests/setup/apt-packages.txt
}

is_there() { # a program, a file, or python3:MODULE
  case $1 in
  /*) [[ -e $1 ]] ;;
  python3:*) python3 -c "import ${1#*:}" 2>/dev/null ;;
  *) type "$1" >/dev/null 2>&1 ;;
  esac
}

go_is_there() {
  local found
  found=$(go env GOVERSION 2>/dev/null) || return 1
  at_least "$GO" "${found#go}" || { at_least 1.21 "${found#go}" && [[ $(go env GOTOOLCHAIN) != local ]]; }
}

at_least() { # wanted, found
  [[ -n $2 && $(printf '%s\n' "$1" "$2" | sort --version-sort | head -n 1) == "$1" ]]
}

cache() { echo "${LINKAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/linkage-operator}"; }

free_gb() {
  mkdir -p "$(cache)"
  df --output=avail --block-size=1G "$(cache)" | tail -n 1 | tr -d ' '
}

needed_gb() { if [[ -d $(cache)/target && -d $(cache)/tools ]]; then echo "$DISK_GB_AGAIN"; else echo "$DISK_GB"; fi; }
