{{/* Prefix of every object's name. */}}
{{- define "fairlead.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}{{- end -}}
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
{{- $catalog := dict "host" "0.0.0.0" "port" (int .Values.catalog.port) "base_url" .Values.catalog.baseUrl -}}
{{- $index := dict "backend" .Values.index.backend -}}
{{- if eq .Values.index.backend "opensearch" }}{{- $index = merge $index (dict "url" .Values.index.url "user" .Values.index.user) -}}{{- end -}}
{{- $decided := dict "home" "/var/lib/fairlead" "node" $node "catalog" $catalog "index" $index -}}
{{- if .Values.keys.existingSecret }}{{- $_ := set $decided "secrets" "/etc/fairlead-keys" -}}{{- end -}}
{{- $log := dict "log" (dict "format" "json") -}}
{{- mergeOverwrite $log (deepCopy .Values.settings) $decided | toYaml -}}
{{- end }}

{{/* The route table: the probe from inside the pod, then what the administrator listed. */}}
{{- define "fairlead.routes" -}}
{{- $probe := dict "name" "liveness probe" "project" (default "default" .Values.settings.project) "center" (default "local" .Values.settings.center) "calling_ae" (list .Values.node.probeAs) "from_networks" (list "127.0.0.1/32") -}}
{{- dict "routes" (prepend .Values.routes $probe) | toYaml -}}
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

{{/* Fields that every container shares. */}}
{{- define "fairlead.container" -}}
image: {{ include "fairlead.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: FAIRLEAD_CONFIG, value: /etc/fairlead/fairlead.yaml}
  - {name: HOME, value: /tmp}
  {{- if .Values.database.existingSecret }}
  - name: FAIRLEAD_DATABASE_URL
    valueFrom: {secretKeyRef: {name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.key }}}}
  {{- end }}
  {{- if .Values.index.existingSecret }}
  - name: FAIRLEAD_INDEX__PASSWORD
    valueFrom: {secretKeyRef: {name: {{ .Values.index.existingSecret }}, key: {{ .Values.index.key }}}}
  {{- end }}
volumeMounts:
  - {name: home, mountPath: /var/lib/fairlead}
  - {name: config, mountPath: /etc/fairlead, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.keys.existingSecret }}
  - {name: keys, mountPath: /etc/fairlead-keys, readOnly: true}
  {{- end }}
{{- end }}

{{- define "fairlead.volumes" -}}
- name: home
  persistentVolumeClaim: {claimName: {{ include "fairlead.claim" . }}}
- name: config
  configMap: {name: {{ include "fairlead.fullname" . }}-config}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- if .Values.keys.existingSecret }}
- name: keys
  secret: {secretName: {{ .Values.keys.existingSecret }}, defaultMode: 0440}
{{- end }}
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

{{/* Rules between values that a schema can't say well; every message tells what to do. */}}
{{- define "fairlead.validate" -}}
{{- $v := .Values -}}
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
{{- if and (eq $v.index.backend "opensearch") (not $v.index.existingSecret) -}}
{{- fail "index.backend=opensearch needs index.existingSecret: the secret that holds the password of index.user." -}}
{{- end -}}
{{- end }}
