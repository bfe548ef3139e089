# shellcheck shell=bash
# A certificate authority for the cluster, and a certificate and kubeconfig for each of its components.

create_credentials() ( # in the folder $STATE/pki
  mkdir "$STATE/pki"
  cd "$STATE/pki" || exit
  new_key ca
  openssl req -x509 -new -key ca.key -out ca.crt -days 3650 -subj /CN=local-cluster
  new_key service-accounts

  certify kube-apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:$SERVICES.1,IP:$CONTROL_PLANE"
  certify admin /O=system:masters/CN=admin
  kubeconfig admin >"$KUBECONFIG_FILE"
  for component in kube-controller-manager kube-scheduler kube-proxy coredns storage-provisioner; do
    certify "$component" "/CN=system:$component"
    kubeconfig "$component" >"$component.kubeconfig"
  done
  for ((i = 0; i < NODES; i++)); do create_node_credentials "$i"; done
)

create_node_credentials() (
  cd "$STATE/pki" || exit
  certify "kubelet$1" "/O=system:nodes/CN=system:node:node$1" "DNS:node$1,IP:$(node_ip "$1")"
  kubeconfig "kubelet$1" >"kubelet$1.kubeconfig"
)

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

certify() { # name, subject, alternative names (optional)
  new_key "$1"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
      -extfile <(printf '%s\n' extendedKeyUsage=serverAuth,clientAuth ${3:+"subjectAltName=$3"}) 2>/dev/null
}

kubeconfig() { # name of the certificate
  cat <<EOT
apiVersion: v1
kind: Config
current-context: local-cluster
contexts: [{name: local-cluster, context: {cluster: local-cluster, user: $1}}]
clusters:
- name: local-cluster
  cluster:
    server: https://$CONTROL_PLANE:6443
    certificate-authority-data: $(base64 -w0 ca.crt)
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$1.crt")
    client-key-data: $(base64 -w0 "$1.key")
EOT
}
