{{- define "caldera.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "caldera.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "caldera.labels" -}}
{{ include "caldera.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Each secret that is set: the variable of its file, the secret and the key in it. */}}
{{- define "caldera.secrets" -}}
{{- $secrets := list (dict "variable" "DATABASE_URL_FILE" "from" .Values.database) -}}
{{- if .Values.bootstrapSecretKey.existingSecret -}}
{{- $secrets = append $secrets (dict "variable" "CALDERA_BOOTSTRAP_SECRET_KEY_FILE" "from" .Values.bootstrapSecretKey) -}}
{{- end -}}
{{- if .Values.pepper.existingSecret -}}
{{- $secrets = append $secrets (dict "variable" "CALDERA_PEPPER_FILE" "from" .Values.pepper) -}}
{{- end -}}
{{- if .Values.sealKey.existingSecret -}}
{{- $secrets = append $secrets (dict "variable" "CALDERA_SEAL_KEY_FILE" "from" .Values.sealKey) -}}
{{- end -}}
{{- range .Values.credentials -}}
{{- $secrets = append $secrets (dict "variable" (printf "%s_FILE" .variable) "from" .) -}}
{{- end -}}
{{- toJson (dict "secrets" $secrets) -}}
{{- end -}}
