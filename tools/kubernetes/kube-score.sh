#!/usr/bin/env bash
# Build kube-score, which judges rendered charts by policies, from the Go module proxy: one CPU minute, once.
#
#   kube-score.sh --build   build it and print its path
#   kube-score.sh --bin     only print its path
#   kube-score.sh --whole   say by the exit status whether it is built, and as it was built
#
# Environment: GO and KUBEMINI_CACHE as in kube-up.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KUBEMINI_CACHE:-${XDG_CACHE_HOME:-${HOME:-$here}/.cache}/fairlead/kubemini}
key=$(cat "$here"/policy/go.{mod,sum} | sha256sum | cut -c1-16)
bin=$cache/kube-score-$key-$(uname -m)
whole() {
    [ -x "$bin" ] && [ -O "$bin" ] && (cd "$cache" && sha256sum --check --quiet --strict "$bin.sha256") >/dev/null 2>&1
}
case ${1:-} in
    --build)
        if ! whole; then
            mkdir -p "$cache"
            (cd "$here/policy" && GOFLAGS='-mod=readonly -trimpath -buildvcs=false' CGO_ENABLED=0 \
                "${GO:-go}" build -ldflags "-s -w" -o "$bin.part" github.com/zegl/kube-score/cmd/kube-score)
            mv "$bin.part" "$bin"
            (cd "$cache" && sha256sum "${bin##*/}" >"$bin.sha256")
        fi
        ;;
    --bin) ;;
    --whole) whole; exit ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
echo "$bin"
