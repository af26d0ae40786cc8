# Sourced by `cluster`: the throw-away certificates and the configuration files of one run, all under $RUN.
# shellcheck shell=bash disable=SC2154

write_pki() {
  cd "$RUN/pki"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=kubernetes 2>/dev/null
  leaf apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:$NODE,IP:10.96.0.1,IP:127.0.0.1"
  leaf admin /O=system:masters/CN=admin
  leaf controllers /CN=system:kube-controller-manager
  leaf scheduler /CN=system:kube-scheduler
  leaf kubelet /O=system:nodes/CN=system:node:node0 "DNS:node0,IP:$NODE"
  leaf proxy /CN=system:kube-proxy
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  cd "$RUN"
}

leaf() { # name subject [subjectAltName]: a certificate, and a kubeconfig that uses it
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s' "${3:-DNS:$1}") 2>/dev/null
  cat >"../$1.kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$NODE:6443", certificate-authority: $RUN/pki/ca.crt}}]
users: [{name: u, user: {client-certificate: $RUN/pki/$1.crt, client-key: $RUN/pki/$1.key}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
K
}

write_config() { containerd_config; kubelet_config; proxy_config; dns_config; }

# restrict_oom_score_adj: without CAP_SYS_RESOURCE (a sandboxed host) runc may not lower oom_score_adj and every pod would fail.
containerd_config() {
  cat >containerd.toml <<C
version = 2
root = "$RUN/containerd/root"
state = "$RUN/containerd/state"
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$(command -v runc)"
C
  cat >cni/10-bridge.conflist <<C
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$RUN/ipam", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
C
}

kubelet_config() {
  cat >kubelet.yaml <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $RUN/pki/ca.crt}, webhook: {enabled: true}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDomain: cluster.local
clusterDNS: [$NODE]
containerRuntimeEndpoint: unix://$RUN/containerd.sock
tlsCertFile: $RUN/pki/kubelet.crt
tlsPrivateKeyFile: $RUN/pki/kubelet.key
podLogsDir: $RUN/pods
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: "100Mi"}
localStorageCapacityIsolation: false
K
}

proxy_config() {
  cat >proxy.yaml <<K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.244.0.0/16
hostnameOverride: node0
clientConnection: {kubeconfig: $RUN/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
K
}

dns_config() {
  cat >Corefile <<K
.:53 {
  bind $NODE
  kubernetes cluster.local {
    kubeconfig $RUN/admin.kubeconfig c
  }
  errors
}
K
}
