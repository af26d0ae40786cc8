{{- define "portcullis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name, said once: release `portcullis` gives `portcullis`, release `edge` gives `edge-portcullis`. */}}
{{- define "portcullis.fullname" -}}
{{- $name := include "portcullis.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.selectorLabels" -}}
app.kubernetes.io/name: {{ include "portcullis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "portcullis.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The flags that follow from values. What is at its default stays unsaid. */}}
{{- define "portcullis.args" -}}
- run
- --log={{ .Values.log.format }}
{{- with .Values.log.filter }}
- {{ printf "--log-filter=%s" . | quote }}
{{- end }}
- --drain-delay={{ int .Values.drain.delay }}s
- --drain-timeout={{ int .Values.drain.timeout }}s
{{- with .Values.trustedProxies }}
- --client-address=TrustedProxies
- {{ printf "--trusted-proxies=%s" (join "," .) | quote }}
{{- end }}
{{- range .Values.connectTo }}
- {{ printf "--connect-to=%s" . | quote }}
{{- end }}
{{- with .Values.privateIssuers }}
- {{ printf "--private-issuers=%s" (join "," .) | quote }}
{{- end }}
{{- with .Values.clusterCidrs }}
- {{ printf "--cluster-cidrs=%s" (join "," .) | quote }}
{{- end }}
{{- with .Values.egressProxy.url }}
- {{ printf "--egress-proxy=%s" . | quote }}
{{- end }}
{{- with .Values.egressProxy.noProxy }}
- {{ printf "--no-proxy=%s" (join "," .) | quote }}
{{- end }}
{{- if ne (int .Values.issuersPerNamespace) 32 }}
- --issuers-per-namespace={{ int .Values.issuersPerNamespace }}
{{- end }}
{{- if ne .Values.tokenCache "128Mi" }}
- --token-cache={{ .Values.tokenCache }}
{{- end }}
{{- with .Values.catchAllNamespaces }}
- {{ printf "--catch-all-namespaces=%s" (join "," .) | quote }}
{{- end }}
{{- range .Values.hostBindings }}
- {{ printf "--host-binding=%s=%s" (join "," .namespaces) (join "," .hosts) | quote }}
{{- end }}
{{- with .Values.tls.defaultCertificate }}
- {{ printf "--default-certificate=%s" . | quote }}
{{- end }}
{{- with .Values.tls.publicPort }}
- --https-public-port={{ int . }}
{{- end }}
{{- if ne .Values.tls.minVersion "1.2" }}
- --tls-min-version={{ .Values.tls.minVersion }}
{{- end }}
{{- with .Values.tls.ciphers }}
- {{ printf "--tls-ciphers=%s" (join "," .) | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
