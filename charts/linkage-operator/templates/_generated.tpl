{{/*
What is random and must stay: the master key, the keys of the store's users, and the certificate that closes the
store's control port. Each comes from the Secret that holds it already, else it is made. It is made once for all
templates of a rendering, which share `.Values`.

`lookup` finds nothing in `helm template`: whoever renders that way names Secrets and keys of their own.
*/}}
{{- define "linkage.generate" -}}
{{- if not (hasKey .Values "generated") -}}
  {{- $generated := dict "masterKey" (include "linkage.kept" (list . "master-key" "key") | default (randAlphaNum 64)) -}}
  {{- if .Values.store.bundled.enabled -}}
    {{- $keys := dict -}}
    {{- range $user := list "operator" "api" "uploader" -}}
      {{- $given := index $.Values.store.bundled.keys $user -}}
      {{- $secret := printf "store-%s" $user -}}
      {{- $accessKey := $given.accessKey | default (include "linkage.kept" (list $ $secret "AWS_ACCESS_KEY_ID")) | default (randAlphaNum 20 | upper) -}}
      {{- $secretKey := $given.secretKey | default (include "linkage.kept" (list $ $secret "AWS_SECRET_ACCESS_KEY")) | default (randAlphaNum 40) -}}
      {{- $_ := set $keys $user (dict "accessKey" $accessKey "secretKey" $secretKey) -}}
    {{- end -}}
    {{- $_ := set $generated "keys" $keys -}}
    {{- $_ := set $generated "certificate" (include "linkage.kept" (list . "store-config" "control.crt")) -}}
    {{- $_ := set $generated "privateKey" (include "linkage.kept" (list . "store-config" "control.key")) -}}
    {{- if not (and $generated.certificate $generated.privateKey) -}}
      {{- $authority := genCAWithKey "linkage-store" 36500 (genPrivateKey "ecdsa") -}}
      {{- $_ := set $generated "certificate" $authority.Cert -}}
      {{- $_ := set $generated "privateKey" $authority.Key -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set .Values "generated" $generated -}}
{{- end -}}
{{- end }}

{{/* A value of a Secret of this release, or nothing. (list $ "suffix of its name" "key") */}}
{{- define "linkage.kept" -}}
{{- $root := index . 0 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace (printf "%s-%s" (include "linkage.fullname" $root) (index . 1)) -}}
{{- with index (default (dict) ($secret).data) (index . 2) }}{{ b64dec . }}{{ end -}}
{{- end }}

{{/* Changes when the keys do, so that the pods that use them start anew. (list $ "operator") */}}
{{- define "linkage.keysChecksum" -}}
{{- $root := index . 0 -}}
{{- include "linkage.generate" $root -}}
{{- $generated := $root.Values.generated -}}
{{- $parts := list $root.Values.masterKey -}}
{{- if not $root.Values.masterKey.existingSecret }}{{ $parts = append $parts $generated.masterKey }}{{ end -}}
{{- if $root.Values.store.bundled.enabled }}{{ $parts = append $parts (index $generated.keys (index . 1)) }}{{ end -}}
{{- toJson $parts | sha256sum -}}
{{- end }}
