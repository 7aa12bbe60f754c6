{{/* Prefix of every object's name. */}}
{{- define "fairlead.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* What tells this release's pods from all others; never changes between versions. */}}
{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "fairlead.image" -}}
{{- with .Values.global.registry_url }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end }}

{{- define "fairlead.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ include "fairlead.fullname" . }}{{- else -}}{{ .Values.serviceAccount.name }}{{- end -}}
{{- end }}

{{- define "fairlead.claim" -}}
{{- default (printf "%s-home" (include "fairlead.fullname" .)) .Values.storage.existingClaim -}}
{{- end }}

{{/* Settings in force: what the administrator set, then what the chart decides. */}}
{{- define "fairlead.settings" -}}
{{- $node := dict "host" "0.0.0.0" "port" (int .Values.node.port) "ae_title" .Values.node.aeTitle "routes" "/etc/fairlead/routes.yaml" -}}
{{- if .Values.node.web.enabled }}{{- $_ := set $node "web" (dict "host" "0.0.0.0" "port" (int .Values.node.web.port)) -}}{{- end -}}
{{- with .Values.node.tls }}{{- if .existingSecret -}}
{{- $tls := dict "certificate" "/etc/fairlead-tls/tls.crt" "key" "/etc/fairlead-tls/tls.key" "mutual" .mutual -}}
{{- if .mutual }}{{- $_ := set $tls "ca_file" "/etc/fairlead-tls/ca.crt" -}}{{- end -}}
{{- $_ := set $node "tls" $tls -}}
{{- end }}{{- end -}}
{{- $catalog := dict "host" "0.0.0.0" "port" (int .Values.catalog.port) "base_url" .Values.catalog.baseUrl -}}
{{- $gateway := dict "host" "0.0.0.0" "port" (int .Values.gateway.port) "governance" "/etc/fairlead/governance.yaml" -}}
{{- with .Values.gateway.url }}{{- $_ := set $gateway "url" . -}}{{- end -}}
{{- with .Values.gateway.tls }}{{- if .existingSecret -}}
{{- $gateway = merge $gateway (dict "certificate" "/etc/fairlead-tls/tls.crt" "key" "/etc/fairlead-tls/tls.key") -}}
{{- if .mutual }}{{- $_ := set $gateway "ca_file" "/etc/fairlead-tls/ca.crt" -}}{{- end -}}
{{- end }}{{- end -}}
{{- $index := dict "backend" .Values.index.backend "name" .Values.index.name -}}
{{- if eq .Values.index.backend "opensearch" }}{{- $index = merge $index (dict "url" .Values.index.url "user" .Values.index.user) -}}{{- end -}}
{{- if .Values.index.caSecret }}{{- $_ := set $index "ca_file" "/etc/fairlead-index/ca.crt" -}}{{- end -}}
{{- $decided := dict "home" "/var/lib/fairlead" "node" $node "catalog" $catalog "index" $index -}}
{{- if .Values.gateway.enabled }}{{- $_ := set $decided "gateway" $gateway -}}{{- end -}}
{{- if not .Values.database.existingSecret }}{{- $_ := set $decided "database_url" "sqlite:////var/lib/fairlead/database/fairlead.sqlite" -}}{{- end -}}
{{- if .Values.keys.existingSecret }}{{- $_ := set $decided "secrets" "/etc/fairlead-keys" -}}{{- end -}}
{{- $log := dict "log" (dict "format" "json") -}}
{{- mergeOverwrite $log (deepCopy .Values.settings) $decided | toYaml -}}
{{- end }}

{{/* The route table: the probe from inside the pod, what the administrator listed, and last who may only ask whether the node answers. */}}
{{- define "fairlead.routes" -}}
{{- $probe := dict "name" "liveness probe" "project" (default "default" .Values.settings.project) "center" (default "local" .Values.settings.center) "calling_ae" (list .Values.node.probeAs) "from_networks" (list "127.0.0.1/32") -}}
{{- $routes := prepend .Values.routes $probe -}}
{{- with .Values.node.testAs -}}
{{- $routes = append $routes (merge (dict "name" "helm test" "calling_ae" (list .) "from_networks" (list "0.0.0.0/0" "::/0") "sop_classes" (list "1.2.840.10008.1.1")) $probe) -}}
{{- end -}}
{{- dict "routes" $routes "peers" .Values.peers | toYaml -}}
{{- end }}

{{/* Networks that may reach the DICOM port, each once. */}}
{{- define "fairlead.peers" -}}
{{- $peers := .Values.networkPolicy.dicomPeers -}}
{{- range .Values.routes }}{{- $peers = concat $peers .from_networks -}}{{- end -}}
{{- $peers | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* Pod-wide fields of the "restricted" Pod Security Standard, and no service-account token. */}}
{{- define "fairlead.pod" -}}
serviceAccountName: {{ include "fairlead.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false # a Service called fairlead-… would otherwise put FAIRLEAD_… variables into our environment
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.security }}
  {{- if not (kindIs "invalid" .runAsUser) }}
  runAsUser: {{ int64 .runAsUser }}
  {{- end }}
  {{- if not (kindIs "invalid" .runAsGroup) }}
  runAsGroup: {{ int64 .runAsGroup }}
  {{- end }}
  {{- if not (kindIs "invalid" .fsGroup) }}
  fsGroup: {{ int64 .fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Image and locks of every container. */}}
{{- define "fairlead.locked" -}}
image: {{ include "fairlead.image" . }}
imagePullPolicy: {{ default .Values.image.pullPolicy .Values.global.pull_policy_images }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* One variable from a secret: name, secret, key. */}}
{{- define "fairlead.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}}
{{- end }}

{{/* Containers of the inner side: the whole volume, every secret. */}}
{{- define "fairlead.container" -}}
{{ include "fairlead.locked" . }}
env:
  - {name: FAIRLEAD_CONFIG, value: /etc/fairlead/fairlead.yaml}
  - {name: HOME, value: /tmp}
  {{- with .Values.database }}{{- if .existingSecret }}
  {{- include "fairlead.secretVariable" (list "FAIRLEAD_DATABASE_URL" .existingSecret .key) | nindent 2 }}
  {{- end }}{{- end }}
  {{- with .Values.index }}{{- if .existingSecret }}
  {{- include "fairlead.secretVariable" (list "FAIRLEAD_INDEX__PASSWORD" .existingSecret .key) | nindent 2 }}
  {{- end }}{{- end }}
  {{- with .Values.node.web }}{{- if .enabled }}
  {{- include "fairlead.secretVariable" (list "FAIRLEAD_NODE__WEB__TOKEN" .existingSecret .key) | nindent 2 }}
  {{- end }}{{- end }}
  {{- with .Values.s3 }}
  {{- with .endpoint }}
  - {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
  {{- if hasPrefix "http://" . }}
  - {name: AWS_ALLOW_HTTP, value: "true"}
  {{- end }}
  {{- end }}
  {{- with .region }}
  - {name: AWS_REGION, value: {{ . | quote }}}
  {{- end }}
  {{- with .existingSecret }}
  {{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
  {{- include "fairlead.secretVariable" (list . $.Values.s3.existingSecret .) | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- end }}
volumeMounts:
  - {name: home, mountPath: /var/lib/fairlead}
  - {name: config, mountPath: /etc/fairlead, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.keys.existingSecret }}
  - {name: keys, mountPath: /etc/fairlead-keys, readOnly: true}
  {{- end }}
  {{- if .Values.node.tls.existingSecret }}
  - {name: tls, mountPath: /etc/fairlead-tls, readOnly: true}
  {{- end }}
  {{- if .Values.index.caSecret }}
  - {name: index-ca, mountPath: /etc/fairlead-index, readOnly: true}
  {{- end }}
{{- end }}

{{- define "fairlead.volumes" -}}
{{ include "fairlead.ownVolumes" . }}
{{- if .Values.keys.existingSecret }}
- name: keys
  secret: {secretName: {{ .Values.keys.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if .Values.node.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ .Values.node.tls.existingSecret }}, defaultMode: 0440}
{{- end }}
{{ include "fairlead.indexCa" . }}
{{- end }}

{{/* Only the certificate: who made the secret may have put the authority's key beside it. */}}
{{- define "fairlead.indexCa" -}}
{{- with .Values.index.caSecret }}
- name: index-ca
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "fairlead.ownVolumes" -}}
- name: home
  persistentVolumeClaim: {claimName: {{ include "fairlead.claim" . }}}
- name: config
  configMap: {name: {{ include "fairlead.fullname" . }}-config}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.scratch.size }}}
{{- end }}

{{/*
The catalog's container is the only one that strangers reach. Of the volume it gets the published files, for reading, its own signing
key, and on SQLite the database's folder; no received image, no project key, no index.
*/}}
{{- define "fairlead.catalogContainer" -}}
{{ include "fairlead.locked" . }}
env:
  - {name: FAIRLEAD_CONFIG, value: /etc/fairlead/fairlead.yaml}
  - {name: FAIRLEAD_SECRETS, value: /var/lib/fairlead/secrets}
  - {name: HOME, value: /tmp}
  {{- $database := ternary .Values.catalog.database .Values.database (ne .Values.catalog.database.existingSecret "") }}
  {{- if $database.existingSecret }}
  {{- include "fairlead.secretVariable" (list "FAIRLEAD_DATABASE_URL" $database.existingSecret $database.key) | nindent 2 }}
  {{- end }}
  {{- with .Values.catalog.signing }}{{- if .existingSecret }}
  {{- include "fairlead.secretVariable" (list "FAIRLEAD_PROJECT_KEY_CATALOG_TOKENS" .existingSecret .key) | nindent 2 }}
  {{- end }}{{- end }}
volumeMounts:
  - {name: home, mountPath: /var/lib/fairlead/published, subPath: published, readOnly: true}
  {{- if not .Values.catalog.signing.existingSecret }}
  - {name: home, mountPath: /var/lib/fairlead/secrets, subPath: catalog-secrets}
  {{- end }}
  {{- if not $database.existingSecret }}
  - {name: home, mountPath: /var/lib/fairlead/database, subPath: database}
  {{- end }}
  - {name: config, mountPath: /etc/fairlead, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* A ReadWriteOnce volume is usable on one cluster node: put all pods of the release there. */}}
{{- define "fairlead.together" -}}
{{- if eq .Values.storage.accessMode "ReadWriteOnce" }}
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels: {{- include "fairlead.selector" . | nindent 10 }}
{{- end }}
{{- end }}

{{/* Where the migrations Job and the test pod run: where the first volume of a release is made, the node must be able to follow. */}}
{{- define "fairlead.place" -}}
{{- $like := ternary .Values.node .Values.catalog .Values.node.enabled -}}
{{- with $like.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $like.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "fairlead.together" . | trim }}
affinity: {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How many catalog pods run at least. */}}
{{- define "fairlead.fewest" -}}
{{- ternary .Values.catalog.autoscaling.minReplicas .Values.catalog.replicas .Values.catalog.autoscaling.enabled | int -}}
{{- end }}

{{/*
"yes" when a disruption budget helps. On a ReadWriteOnce volume the replacement of an evicted pod must run on the cluster node that is
being drained: it never becomes ready, and a budget would hold the last pod there for ever.
*/}}
{{- define "fairlead.budget" -}}
{{- if and .Values.catalog.enabled .Values.catalog.podDisruptionBudget.enabled (eq .Values.storage.accessMode "ReadWriteMany") (gt (int (include "fairlead.fewest" .)) 1) -}}yes{{- end -}}
{{- end }}
