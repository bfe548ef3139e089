# shellcheck shell=bash
# Each node has a cgroup of its own: below it are the node's processes ("system") and its pods. That is
# how all of them are found again, whatever became of the script that started them.

# The hierarchies: one with cgroup v2, one a controller with v1.
hierarchies() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/*/; fi
}

create_node_cgroup() {
  local hierarchy setting group controllers
  for hierarchy in $(hierarchies); do
    group=$hierarchy/$PREFIX-node$1
    mkdir -p "$group/system"
    if [[ -e $hierarchy/cgroup.controllers ]]; then # v2: controllers must be handed down
      controllers=$(sed -E 's/(\w+)/+\1/g' "$hierarchy/cgroup.controllers")
      echo "$controllers" >"$hierarchy/cgroup.subtree_control"
      echo "$controllers" >"$group/cgroup.subtree_control"
    fi
    for setting in cpuset.cpus cpuset.mems; do # v1: a new cpuset is empty, and takes no process
      if [[ ! -e $hierarchy/cgroup.controllers && -e $hierarchy/$setting ]]; then
        cat "$hierarchy/$setting" >"$group/$setting"
        cat "$hierarchy/$setting" >"$group/system/$setting"
      fi
    done
  done
}

# Moves the calling (sub)shell.
enter_node_cgroup() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    echo "$BASHPID" >"$hierarchy/$PREFIX-node$1/system/cgroup.procs"
  done
}

# Of all nodes, or of the one with this number.
node_processes() {
  local group
  for group in $(node_cgroups "$@"); do
    find "$group" -name cgroup.procs -exec cat {} +
  done | sort -un
}

node_cgroups() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    find "$hierarchy" -maxdepth 1 -name "$PREFIX-node${1:-*}"
  done
}

remove_node_cgroups() {
  local group
  for group in $(node_cgroups "$@"); do
    find "$group" -depth -type d -exec rmdir {} +
  done
}
