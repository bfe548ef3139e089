# shellcheck shell=bash disable=SC2034 # sourced by the other scripts of this folder
# Names, addresses and places. All derive from one number, so that several clusters can run side by
# side: LINKAGE_CLUSTER, 0 to 9, by default 0.

NUMBER=${LINKAGE_CLUSTER:-0}
[[ $NUMBER =~ ^[0-9]$ ]] || { echo "LINKAGE_CLUSTER must be 0 to 9, not \"$NUMBER\"" >&2; exit 2; }

NODES=2
ADDED_TAINT=local-cluster/added # of the node that `cluster add-node` adds
PREFIX=lc$NUMBER # of everything that the kernel knows by name: interfaces, namespaces, cgroups

SUBNET=10.231.$NUMBER           # the nodes' own: .1 is this machine, .2 is node0, .3 is node1
PODS=10.$((244 + NUMBER))       # node i's pods are PODS.i.0/24
SERVICES=10.$((96 + NUMBER)).0  # SERVICES.0/16
CONTROL_PLANE=$SUBNET.2

STATE=/var/lib/linkage-local-cluster/$NUMBER # exists while the cluster does
KUBECONFIG_FILE=$STATE/kubeconfig
LOCK_FILE=/run/lock/linkage-local-cluster-$NUMBER

node_ip() { echo "$SUBNET.$(($1 + 2))"; }
