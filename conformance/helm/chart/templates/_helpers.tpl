{{- define "bakery.labels" -}}
app.kubernetes.io/name: bakery
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
