#!/usr/bin/env bash
# schemas.sh DIR [VERSION]: make Kubernetes JSON schemas that kubeconform can
# read offline, from the package kubernetes-validate of the checkout's .venv.
# Prints the value for kubeconform's -schema-location.
#
# The package's schemas name each other by "/api/..." under an absolute "$id",
# which kubeconform would look for on the network: both are made relative.
set -euo pipefail
dir=${1:?usage: schemas.sh DIR [VERSION]}
version=${2:-1.37.0}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
to=$dir/v$version-local-strict
if [ ! -d "$to" ]; then
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    python=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.venv/bin/python
    [ -x "$python" ] || python=python3
    package=$("$python" -c 'import os, kubernetes_validate as k; print(os.path.dirname(k.__file__))') ||
        { echo "schemas: kubernetes-validate is missing; run: make setup" >&2; exit 1; }
    cp -r "$package/kubernetes-json-schema/v$version-local-strict" "$tmp/out"
    # shellcheck disable=SC2016  # $id is a key of the schemas
    find "$tmp/out" -name '*.json' -exec sed -i.bak 's#"\$id": *"[^"]*"#"x-id": ""#; s#"/api/_definitions\.json#"_definitions.json#g' {} +
    find "$tmp/out" -name '*.bak' -delete
    mv "$tmp/out" "$to"
fi
echo "$dir/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json"
