# shellcheck shell=bash
# The cluster's network: a namespace for each node, and one for the switch that joins them. The machine
# itself has a single interface into it and knows the way to pods and Services; its firewall is neither
# changed nor passed, and nothing is routed beyond it.

create_network() {
  local i
  ip netns add "$PREFIX-switch"
  ip -n "$PREFIX-switch" link add switch up type bridge
  ip link add "$PREFIX" type veth peer name host netns "$PREFIX-switch"
  ip -n "$PREFIX-switch" link set host master switch up
  ip address add "$SUBNET.1/24" dev "$PREFIX"
  ip link set "$PREFIX" up

  for ((i = 0; i < NODES; i++)); do connect_node "$i"; done
  # kube-proxy on node0 serves the machine too: it masquerades what comes from outside the pods' range.
  ip route add "$SERVICES.0/16" via "$CONTROL_PLANE"
}

# Joins a node to the switch. The nodes before it, and it, learn the way to each other's pods.
connect_node() {
  local i=$1 j
  ip netns add "$PREFIX-node$i"
  ip -n "$PREFIX-node$i" link add eth0 type veth peer name "node$i" netns "$PREFIX-switch"
  ip -n "$PREFIX-switch" link set "node$i" master switch up
  ip -n "$PREFIX-node$i" link set lo up
  ip -n "$PREFIX-node$i" address add "$(node_ip "$i")/24" dev eth0
  ip -n "$PREFIX-node$i" link set eth0 up
  # Without any route, what is meant for a Service would be refused before kube-proxy's rules see it.
  ip -n "$PREFIX-node$i" route add default via "$SUBNET.1"
  nsenter --net="/run/netns/$PREFIX-node$i" sysctl --quiet --write \
    net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  ip route replace "$PODS.$i.0/24" via "$(node_ip "$i")"
  for ((j = 0; j < i; j++)); do
    ip -n "$PREFIX-node$i" route replace "$PODS.$j.0/24" via "$(node_ip "$j")"
    ip -n "$PREFIX-node$j" route replace "$PODS.$i.0/24" via "$(node_ip "$i")"
  done
}

remove_network() {
  local namespace
  for namespace in $(ip netns list | awk -v of="$PREFIX-" 'index($1, of) == 1 { print $1 }'); do
    ip netns delete "$namespace"
  done
  if ip link show "$PREFIX" >/dev/null 2>&1; then ip link delete "$PREFIX"; fi
}
