#!/usr/bin/env bash
# opensearch-down.sh [DIR]: stop the server that opensearch-up.sh started in DIR, .cache/opensearch in the checkout unless given
# (SIGTERM, then SIGKILL after 60 s). Data stays.
set -euo pipefail
[ $# -le 1 ] || { echo "usage: opensearch-down.sh [DIR]" >&2; exit 2; }
DIR=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/.cache/opensearch}
[ -d "$DIR" ] || { echo "opensearch-down: not running" >&2; exit 0; }
DIR=$(cd "$DIR" && pwd -P); F=$DIR/opensearch.pid
[ -s "$F" ] || { echo "opensearch-down: not running" >&2; exit 0; }
P=$(cat "$F")
if [ -r "/proc/$P/cmdline" ] && ! tr '\0' ' ' <"/proc/$P/cmdline" | grep -qF -- "-Dopensearch.path.conf=$DIR/config"; then
  echo "opensearch-down: pid $P is not ours, removing the stale pid file" >&2; rm -f "$F"; exit 0; fi
kill "$P" 2>/dev/null || { rm -f "$F"; exit 0; }
for _ in $(seq 600); do kill -0 "$P" 2>/dev/null || { rm -f "$F"; exit 0; }; sleep 0.1; done
echo "opensearch-down: SIGKILL" >&2; kill -9 "$P" 2>/dev/null || true; rm -f "$F"
