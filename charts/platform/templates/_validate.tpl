{{/* Rules between the parts, which neither chart can see alone; every message tells what to do. */}}
{{- define "platform.validate" -}}
{{- $v := .Values -}}
{{- $ours := $v.fairlead -}}
{{- $airflow := $v.airflow -}}
{{- if not (or $v.components.fairlead $v.components.airflow $v.components.opensearch) -}}
{{- fail "components: everything is off, so nothing would run. Turn a part on, or uninstall the release." -}}
{{- end -}}
{{- if and $v.components.airflow (not $v.components.fairlead) -}}
{{- fail "components.airflow needs components.fairlead: its pods mount the volume and the settings that Fairlead's chart makes. Turn both on, or install the Airflow chart by itself." -}}
{{- end -}}
{{- if and $v.components.fairlead (eq (dig "index" "backend" "embedded" $ours) "opensearch") (not $v.components.opensearch) (contains "//opensearch-cluster-master:" (dig "index" "url" "//opensearch-cluster-master:" $ours)) -}}
{{- fail "fairlead.index.backend is opensearch, but nothing runs at its default address. Set components.opensearch=true, or fairlead.index.url to your own server." -}}
{{- end -}}
{{- if and $v.components.airflow $v.components.fairlead -}}
{{- include "platform.together" . -}}
{{- end -}}
{{- end }}

{{/* Airflow's tasks are Fairlead's other half: the same user, settings, volume, keys, database and index. */}}
{{- define "platform.together" -}}
{{- $ours := .Values.fairlead -}}
{{- $airflow := .Values.airflow -}}
{{- if dig "createUserJob" "enabled" true $airflow -}}
{{- fail "airflow.createUserJob.enabled: that Job makes an administrator whose password stands in the values (admin, if nobody changes it). Set it to false and make the first user as docs/admin/index.md shows." -}}
{{- end -}}
{{- $named := list -}}
{{- range $airflow.volumes -}}
{{- $named = concat $named (list (dig "configMap" "name" "" .) (dig "persistentVolumeClaim" "claimName" "" .) (dig "secret" "secretName" "" .)) -}}
{{- end -}}
{{- $claim := default (printf "%s-home" $ours.fullnameOverride) (dig "storage" "existingClaim" "" $ours) -}}
{{- range list (printf "%s-config" $ours.fullnameOverride) $claim (dig "keys" "existingSecret" "" $ours) (dig "index" "caSecret" "" $ours) -}}
{{- if and . (not (has . $named)) -}}
{{- fail (printf "airflow.volumes lack %s, which Fairlead's pods have: tasks would work with other settings, data or keys. Add it there and to airflow.volumeMounts, as charts/platform/values.yaml shows." .) -}}
{{- end -}}
{{- end -}}
{{- $variables := list -}}
{{- range $airflow.secret }}{{- $variables = append $variables .envName -}}{{- end -}}
{{- if and (dig "database" "existingSecret" "" $ours) (not (has "FAIRLEAD_DATABASE_URL" $variables)) -}}
{{- fail "airflow.secret lacks FAIRLEAD_DATABASE_URL: tasks would write to another ledger than the node. Add it as charts/platform/values/single-node.yaml shows." -}}
{{- end -}}
{{- if and (dig "index" "existingSecret" "" $ours) (not (has "FAIRLEAD_INDEX__PASSWORD" $variables)) -}}
{{- fail "airflow.secret lacks FAIRLEAD_INDEX__PASSWORD: tasks could not write to the index. Add it as charts/platform/values/production.yaml shows." -}}
{{- end -}}
{{- $user := dig "security" "runAsUser" "" $ours | default "" | toString -}}
{{- $theirs := dig "securityContexts" "pod" "runAsUser" "" $airflow | default "" | toString -}}
{{- if ne $user $theirs -}}
{{- fail (printf "fairlead.security.runAsUser is %s and airflow.securityContexts.pod.runAsUser is %s: project keys are readable by their owner only. Make them the same." $user $theirs) -}}
{{- end -}}
{{- with dig "registry_url" "" .Values.global -}}
{{- if not (hasPrefix . $airflow.defaultAirflowRepository) -}}
{{- fail (printf "global.registry_url is %s, which the Airflow chart does not follow. Set airflow.defaultAirflowRepository to %s/fairlead/airflow, or to where you pushed it." . (trimSuffix "/" .)) -}}
{{- end -}}
{{- end -}}
{{- end }}
