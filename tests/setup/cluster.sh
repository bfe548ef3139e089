# shellcheck shell=bash
# A cluster that holds the images: one's own, which KUBECONFIG names, or the local one. Sourced from the top folder.
#
# On a cluster of one's own the images get there in one of two ways:
#   LOAD_IMAGE             a command that takes an image's tar to the nodes, such as "kind load image-archive"
#   IMAGE, STORE_IMAGE     names in a registry that this machine may push to and the cluster pulls from

# Sets up tools, boots the local cluster when KUBECONFIG names none, and brings the images. Exports KUBECONFIG,
# IMAGE and STORE_IMAGE.
prepare_cluster() {
  local is_local=
  [[ -n ${KUBECONFIG:-} && $KUBECONFIG != /var/lib/linkage-local-cluster/* ]] || is_local=1
  if [[ -z $is_local && -z ${LOAD_IMAGE:-} && -z ${IMAGE:-} ]]; then
    cat >&2 <<'END'
KUBECONFIG names a cluster of your own. Say how images get there, by one of:
  LOAD_IMAGE="kind load image-archive"                           (kind)
  LOAD_IMAGE="k3d image import"                                  (k3d)
  LOAD_IMAGE="minikube image load"                               (minikube)
  IMAGE=REGISTRY/linkage-operator:dev STORE_IMAGE=REGISTRY/seaweedfs:dev   (any other, through a registry)
Or unset KUBECONFIG, as root, for a local cluster.
END
    return 2
  fi
  tests/setup/install
  # shellcheck source=tests/setup/env.sh
  source tests/setup/env.sh
  if [[ -n $is_local ]]; then
    tests/local-cluster/cluster up
    KUBECONFIG=$(tests/local-cluster/cluster kubeconfig)
    LOAD_IMAGE="tests/local-cluster/cluster load-image"
  fi
  export KUBECONFIG
  echo "Building the image."
  if [[ -n ${LOAD_IMAGE:-} ]]; then
    image/build
    $LOAD_IMAGE target/image/linkage-operator.tar
    $LOAD_IMAGE target/image/seaweedfs.tar
  else
    image/build --push
  fi
  read -r IMAGE STORE_IMAGE < <(image/build --names)
  export IMAGE STORE_IMAGE
}
