#!/usr/bin/env bash
# Build kube-score, which judges rendered charts by policies, from the Go module proxy: one CPU minute, once.
#
#   kube-score.sh --build   build it and print its path
#   kube-score.sh --bin     only print its path
#
# Environment: GO and KUBEMINI_CACHE as in kube-up.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KUBEMINI_CACHE:-$(cd "$here/../.." && pwd)/.cache/kubemini}
key=$(cat "$here"/policy/go.{mod,sum} | sha256sum | cut -c1-16)
bin=$cache/kube-score-$key-$(uname -m)
case ${1:-} in
    --build)
        if [ ! -x "$bin" ]; then
            mkdir -p "$cache"
            (cd "$here/policy" && GOFLAGS='-mod=readonly -trimpath -buildvcs=false' CGO_ENABLED=0 \
                "${GO:-go}" build -ldflags "-s -w" -o "$bin.part" github.com/zegl/kube-score/cmd/kube-score)
            mv "$bin.part" "$bin"
        fi
        ;;
    --bin) ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
echo "$bin"
