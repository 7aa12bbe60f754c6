{{/* Rules between values that a schema can't say well; every message tells what to do. */}}
{{- define "fairlead.validate" -}}
{{- $v := .Values -}}
{{- if eq (toString $v.image.tag) "latest" -}}
{{- fail "image.tag=latest: two pods of one release could run different code. Name the version's tag, or set image.digest." -}}
{{- end -}}
{{- $several := or (gt (int $v.catalog.replicas) 1) $v.catalog.autoscaling.enabled -}}
{{- if and $several (not $v.database.existingSecret) -}}
{{- fail "catalog: several pods need PostgreSQL. Set database.existingSecret, or catalog.replicas=1 and catalog.autoscaling.enabled=false." -}}
{{- end -}}
{{- if and (eq $v.storage.accessMode "ReadWriteMany") (not $v.database.existingSecret) -}}
{{- fail "storage.accessMode=ReadWriteMany: SQLite is not safe on a network file system. Set database.existingSecret, or use ReadWriteOnce." -}}
{{- end -}}
{{- if and $v.catalog.ingress.enabled $v.catalog.httpRoute.enabled -}}
{{- fail "catalog: ingress and httpRoute exclude each other. Enable one." -}}
{{- end -}}
{{- if and $v.catalog.ingress.enabled (not $v.catalog.ingress.host) -}}
{{- fail "catalog.ingress.host is empty. Set it to the host of catalog.baseUrl." -}}
{{- end -}}
{{- $host := (urlParse $v.catalog.baseUrl).host | splitList ":" | first -}}
{{- if and $v.catalog.ingress.enabled (ne $v.catalog.ingress.host $host) -}}
{{- fail (printf "catalog.ingress.host is %s, but catalog.baseUrl leads to %s: every IRI would be unreachable. Make them the same." $v.catalog.ingress.host $host) -}}
{{- end -}}
{{- if and $v.catalog.httpRoute.enabled $v.catalog.httpRoute.hostnames (not (has $host $v.catalog.httpRoute.hostnames)) (not (regexMatch "\\*\\." (join " " $v.catalog.httpRoute.hostnames))) -}}
{{- fail (printf "catalog.httpRoute.hostnames lack %s, the host of catalog.baseUrl: every IRI would be unreachable. Add it." $host) -}}
{{- end -}}
{{- if and (eq (include "fairlead.budget" .) "yes") (ge (int $v.catalog.podDisruptionBudget.minAvailable) (int (include "fairlead.fewest" .))) -}}
{{- fail "catalog.podDisruptionBudget.minAvailable is not below the number of pods: no cluster node could be drained. Lower it." -}}
{{- end -}}
{{- if and $v.catalog.httpRoute.enabled (not $v.catalog.httpRoute.parentRefs) -}}
{{- fail "catalog.httpRoute.parentRefs is empty. Name the Gateway to attach to." -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $v.node.service.nodePort)) (ne $v.node.service.type "NodePort") -}}
{{- fail "node.service.nodePort is set but node.service.type is not NodePort. Change one of them." -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- fail "serviceAccount.name is empty while serviceAccount.create is false. Name an existing service account." -}}
{{- end -}}
{{- if gt (int $v.catalog.autoscaling.minReplicas) (int $v.catalog.autoscaling.maxReplicas) -}}
{{- fail "catalog.autoscaling.minReplicas is above maxReplicas. Lower it." -}}
{{- end -}}
{{- if $v.gateway.enabled -}}
{{- if not $v.gateway.policy.version -}}
{{- fail "gateway.policy is empty: without a governance policy nobody may ask. Write it as in configs/governance.yaml, or set gateway.enabled=false." -}}
{{- end -}}
{{- if not $v.gateway.url -}}
{{- fail "gateway.url is empty. Set the address under which hubs reach this gateway; every answer is signed for it." -}}
{{- end -}}
{{- if ne $v.index.backend "opensearch" -}}
{{- fail "gateway: set index.backend=opensearch. The embedded index lies beside the received images, and a pod that strangers reach must not see those." -}}
{{- end -}}
{{- if and (eq $v.gateway.service.type "LoadBalancer") (not $v.gateway.tls.existingSecret) -}}
{{- fail "gateway.tls.existingSecret is empty: a gateway that leaves the cluster needs TLS. Name a secret with tls.crt and tls.key." -}}
{{- end -}}
{{- end -}}
{{- if and $v.node.web.enabled (not $v.node.web.existingSecret) -}}
{{- fail "node.web.existingSecret is empty: the web door takes images. Name a secret that holds its bearer token (openssl rand -hex 32)." -}}
{{- end -}}
{{- if and $v.node.web.enabled (eq (int $v.node.web.port) (int $v.node.port)) -}}
{{- fail "node.web.port and node.port are the same. Choose another one." -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $v.node.hostPort)) (ne $v.node.service.type "ClusterIP") -}}
{{- fail "node.hostPort and node.service.type exclude each other: with a host port leave the type at ClusterIP." -}}
{{- end -}}
{{- if and (eq $v.index.backend "opensearch") (not $v.index.existingSecret) -}}
{{- fail "index.backend=opensearch needs index.existingSecret: the secret that holds the password of index.user." -}}
{{- end -}}
{{- include "fairlead.checks" . -}}
{{- end }}

{{/* Rules about several values at once, beside those of "fairlead.validate"; every message tells what to do. */}}
{{- define "fairlead.checks" -}}
{{- $v := .Values -}}
{{- if not (or $v.node.enabled $v.catalog.enabled $v.gateway.enabled $v.backup.enabled $v.backup.restore.enabled) -}}
{{- fail "node, catalog, gateway and backup are all off, so nothing would run. Turn one on, or uninstall the release." -}}
{{- end -}}
{{- $names := list "liveness probe" "helm test" -}}
{{- range $v.routes -}}
{{- if has .name $names -}}
{{- fail (printf "routes: there are two rules named %q. Logs and refusals name the rule: give each its own name (the chart itself adds \"liveness probe\" and \"helm test\")." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $titles := list -}}
{{- range $v.peers -}}
{{- if has .ae_title $titles -}}
{{- fail (printf "peers: %s is listed twice, and the node could not tell which one to call. Leave one out." .ae_title) -}}
{{- end -}}
{{- $titles = append $titles .ae_title -}}
{{- end -}}
{{- $scratch := include "fairlead.number" $v.scratch.size | float64 -}}
{{- range $part := list "node" "catalog" "gateway" "migrations" "backup" -}}
{{- $resources := (index $v $part).resources -}}
{{- range $kind, $limit := $resources.limits -}}
{{- $request := dig "requests" $kind "0" $resources -}}
{{- if gt (include "fairlead.number" $request | float64) (include "fairlead.number" $limit | float64) -}}
{{- fail (printf "%s.resources: the request of %s is %v, above its limit of %v, and no pod could start. Lower the request or raise the limit." $part $kind $request $limit) -}}
{{- end -}}
{{- if and (eq $kind "ephemeral-storage") (gt $scratch (include "fairlead.number" $limit | float64)) -}}
{{- fail (printf "scratch.size is %s, above %s.resources.limits.ephemeral-storage (%v): a pod that uses its /tmp would be evicted. Raise the limit." $v.scratch.size $part $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "fairlead.backupChecks" . -}}
{{- end }}

{{- define "fairlead.backupChecks" -}}
{{- $v := .Values -}}
{{- if and (or $v.backup.enabled $v.backup.restore.enabled) (not $v.backup.existingClaim) -}}
{{- fail "backup.existingClaim is empty. Make a claim for the backups, best on another storage system, and name it." -}}
{{- end -}}
{{- if and $v.backup.enabled (not $v.backup.keysClaim) (or (not $v.keys.existingSecret) $v.gateway.enabled) -}}
{{- fail "backup.keysClaim is empty, but keys lie on the volume: without them nothing can be restored. Name a claim for them, or set keys.existingSecret (a gateway's identity needs the claim)." -}}
{{- end -}}
{{- if and $v.backup.keysClaim (eq $v.backup.keysClaim $v.backup.existingClaim) -}}
{{- fail "backup.keysClaim and backup.existingClaim are the same: who holds backups and keys can test pseudonyms. Name another claim." -}}
{{- end -}}
{{- if and $v.backup.restore.enabled (or $v.node.enabled $v.catalog.enabled $v.gateway.enabled $v.migrations.enabled $v.backup.enabled) -}}
{{- fail "backup.restore.enabled: nothing else may use the volume and the database meanwhile. Turn node, catalog, gateway, migrations and backup.enabled off until the Job has ended." -}}
{{- end -}}
{{- end }}

{{/* A quantity of Kubernetes as a number: 250m, 512Mi, 2. */}}
{{- define "fairlead.number" -}}
{{- $factors := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- $unit := regexFind "[A-Za-z]+$" (toString .) -}}
{{- mulf (toString . | trimSuffix $unit | float64) (get $factors $unit | default 1.0) -}}
{{- end }}
