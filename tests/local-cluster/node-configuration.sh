# shellcheck shell=bash
# The configuration files of a node. They name places as the node sees them: see `node`.

write_node_configuration() { # number of the node, folder
  write_containerd "$@"
  write_cni "$@"
  write_kubelet "$@"
  write_kube_proxy "$@"
  write_dns "$@"
}

# restrict_oom_score_adj: where root lacks CAP_SYS_RESOURCE no sandbox starts without it.
# "opt" would leave a folder in /opt; the snapshotters that are not used only complain.
write_containerd() {
  cat >"$2/containerd.toml" <<EOT
version = 2
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$(snapshotter "$2")"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/cluster/node$1/cni"
EOT
}

# overlayfs cannot lie on overlayfs, which is what a container's own file system often is.
snapshotter() {
  local try=$1/try-overlay
  mkdir -p "$try"/{lower,upper,work,merged}
  if mount -t overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" overlay "$try/merged" 2>/dev/null; then
    umount "$try/merged"
    echo overlayfs
  else
    echo native
  fi
  rm -r "$try"
}

write_cni() {
  mkdir "$2/cni"
  cat >"$2/cni/10-bridge.conflist" <<EOT
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$PODS.$1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
EOT
}

# Two kubelets share one kernel, hence the cgroupRoot. The machine's disk and memory are not the
# cluster's alone, hence the low bars for eviction. Volumes are measured often, so that a test need not wait a minute
# for a pod that fills one to be evicted.
write_kubelet() {
  cat >"$2/kubelet.yaml" <<EOT
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  x509: {clientCAFile: /run/cluster/pki/ca.crt}
  webhook: {enabled: true}
authorization: {mode: Webhook}
tlsCertFile: /run/cluster/pki/kubelet$1.crt
tlsPrivateKeyFile: /run/cluster/pki/kubelet$1.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$PREFIX-node$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [$CONTROL_PLANE]
clusterDomain: cluster.local
resolvConf: /run/cluster/resolv.conf
maxPods: 200
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 100
kubeAPIBurst: 200
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
volumeStatsAggPeriod: 5s
EOT
  # nothing runs on an added node that does not ask for it
  (($1 < NODES)) || echo "registerWithTaints: [{key: $ADDED_TAINT, effect: NoSchedule}]" >>"$2/kubelet.yaml"
}

# conntrack: its size is the machine's, and no business of a namespace.
write_kube_proxy() {
  cat >"$2/kube-proxy.yaml" <<EOT
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: /run/cluster/pki/kube-proxy.kubeconfig}
mode: iptables
iptables: {minSyncPeriod: 100ms}
clusterCIDR: $PODS.0.0/16
hostnameOverride: node$1
oomScoreAdj: 0
conntrack: {maxPerCore: 0}
EOT
}

write_dns() {
  echo "nameserver $CONTROL_PLANE" >"$STATE/resolv.conf"
  cat >"$STATE/Corefile" <<EOT
.:53 {
    bind $CONTROL_PLANE
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa {
        kubeconfig /run/cluster/pki/coredns.kubeconfig
        ttl 5
    }
}
EOT
}
