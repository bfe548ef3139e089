{{/* What all pods have in common. */}}

{{/* Labels of a component's pods. (list $ "api" values) */}}
{{- define "linkage.podLabels" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with merge (dict) $values.podLabels $root.Values.commonLabels }}{{ toYaml . }}
{{ end -}}
{{ include "linkage.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* Who the pod runs as, and where. (list $ "api" values token?) */}}
{{- define "linkage.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
serviceAccountName: {{ include "linkage.fullname" $root }}-{{ index . 1 }}
automountServiceAccountToken: {{ index . 3 }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "linkage.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Ready as soon as it is, and alive as long as it answers. (name of the port) */}}
{{- define "linkage.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Environment of operator and api. (list $ values create-bucket?) */}}
{{- define "linkage.environment" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
- name: NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: RUST_LOG
  value: {{ $root.Values.log.level | quote }}
- name: LOG_FORMAT
  value: {{ $root.Values.log.format | quote }}
- name: STORE_URL
  value: {{ include "linkage.storeUrl" $root | quote }}
{{- with include "linkage.storeEndpoint" $root }}
- name: STORE_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: STORE_REGION
  value: {{ include "linkage.storeRegion" $root | quote }}
{{- if index . 2 }}
- name: STORE_CREATE_BUCKET
  value: "true"
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Which webhooks projects may name: for operator and api. */}}
{{- define "linkage.webhooks" -}}
{{- with .Values.webhooks.allowedUrls }}
- name: WEBHOOK_URLS
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Keys of the store, from the component's Secret. (list $ "api") */}}
{{- define "linkage.credentials" -}}
{{- with include "linkage.storeSecret" . -}}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}
