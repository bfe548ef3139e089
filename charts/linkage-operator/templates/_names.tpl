{{/* Names and labels. */}}

{{- define "linkage.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" }}
{{- end }}

{{/* 45 characters, so that with the longest suffix it still is a name. */}}
{{- define "linkage.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes about a component's pods. (list $ "api") */}}
{{- define "linkage.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "linkage.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* (list $ "api") */}}
{{- define "linkage.labels" -}}
{{- $root := index . 0 -}}
{{ with $root.Values.commonLabels }}{{ toYaml . }}
{{ end -}}
{{ include "linkage.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Metadata of an object of a component. (list $ "api" "suffix of the name") */}}
{{- define "linkage.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "linkage.fullname" $root }}-{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "linkage.labels" (list $root (index . 1)) | nindent 2 }}
{{- end }}

{{/* The pods of Jobs, which the operator labels. */}}
{{- define "linkage.jobSelector" -}}
matchLabels:
  app.kubernetes.io/managed-by: linkage-operator
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [ingest, score, solve]}
{{- end }}

{{/* (list image default-tag) */}}
{{- define "linkage.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 1) $image.tag }}
{{- end }}
{{- end }}

{{- define "linkage.masterKeySecret" -}}
{{- .Values.masterKey.existingSecret | default (printf "%s-master-key" (include "linkage.fullname" .)) }}
{{- end }}
