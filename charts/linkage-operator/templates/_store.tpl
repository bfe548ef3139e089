{{/* Where the store is, who may do what in it, and their keys. */}}

{{- define "linkage.storeUrl" -}}
{{- if .Values.store.bundled.enabled -}}
s3://linkage
{{- else -}}
{{- $external := .Values.store.external -}}
s3://{{ required "store.external.bucket: name the bucket, or set store.bundled.enabled" $external.bucket }}
{{- with trimAll "/" $external.prefix }}/{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- define "linkage.storeEndpoint" -}}
{{- if .Values.store.bundled.enabled -}}
http://{{ include "linkage.fullname" . }}-store:8333
{{- else -}}
{{ .Values.store.external.endpoint }}
{{- end }}
{{- end }}

{{- define "linkage.storeRegion" -}}
{{- if .Values.store.bundled.enabled }}us-east-1{{ else }}{{ .Values.store.external.region }}{{ end }}
{{- end }}

{{/* Secret with a component's keys, or nothing. (list $ "api") */}}
{{- define "linkage.storeSecret" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.store.bundled.enabled -}}
{{ include "linkage.fullname" $root }}-store-{{ index . 1 }}
{{- else -}}
{{ index $root.Values.store.external.existingSecrets (index . 1) | default $root.Values.store.external.existingSecret }}
{{- end }}
{{- end }}

{{/* Port of an external store. */}}
{{- define "linkage.externalPort" -}}
{{- $host := (urlParse .Values.store.external.endpoint).host -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{ regexFind "[0-9]+$" $host }}
{{- else if hasPrefix "http://" .Values.store.external.endpoint -}}
80
{{- else -}}
443
{{- end }}
{{- end }}

{{/*
In how many files of 256 MiB the bundled store may keep data. To give back what was deleted it copies a file without
it, so two files' space stays free, or a full store could never be emptied again; so does a tenth, which the file
system and the index need.
*/}}
{{- define "linkage.storeFiles" -}}
{{- $size := .Values.store.bundled.persistence.size | toString -}}
{{- $number := regexFind "^[0-9.]+" $size | float64 -}}
{{- $exponent := dict "k" 1 "M" 2 "G" 3 "T" 4 "P" 5 -}}
{{- $base := hasSuffix "i" $size | ternary 1024 1000 -}}
{{- range until (index $exponent (regexFind "[kMGTP]" (replace "K" "k" $size)) | default 0 | int) -}}
{{- $number = mulf $number $base -}}
{{- end -}}
{{- $mebibytes := divf $number 1048576 -}}
{{- divf (subf (mulf $mebibytes 0.9) 512) 256 | floor | int -}}
{{- end }}

{{/*
What each user of the bundled store may do. Only the pods of Jobs write results, so that nobody else can forge one, and
only they read a run's seed, which tells whose records match. The operator reads neither encodings nor results.
*/}}
{{- define "linkage.storePolicies" -}}
operator:
  - {Effect: Allow, Action: ["s3:CreateBucket", "s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: [runs/*/summary.json, runs/*/pairs/*.json, projects/*/contribution.json]}
  - {Effect: Allow, Action: ["s3:DeleteObject", "s3:AbortMultipartUpload"], Resource: [projects/*, runs/*]}
api:
  - {Effect: Allow, Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: [projects/*]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: [runs/*/result/*]}
scorer:
  - {Effect: Allow, Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: ["*"]}
  - {Effect: Allow, Action: ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: [projects/*, runs/*]}
uploader:
  - {Effect: Allow, Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], NotResource: [projects/*, runs/*]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: [runs/*/result/*, runs/*/summary.json]}
{{- end }}

{{/* The store's configuration: its users and what they may do. (keys as "linkage.generate" leaves them) */}}
{{- define "linkage.s3Json" -}}
{{- $identities := list -}}
{{- $policies := list -}}
{{- $keys := index . 1 -}}
{{- range $user, $statements := include "linkage.storePolicies" (index . 0) | fromYaml -}}
  {{- $key := index $keys $user -}}
  {{- range $statements -}}
    {{- $statement := . -}}
    {{- range $which := list "Resource" "NotResource" -}}
      {{- $names := list -}}
      {{- range index $statement $which -}}
        {{- $names = append $names (eq . "bucket" | ternary "arn:aws:s3:::linkage" (printf "arn:aws:s3:::linkage/%s" .)) -}}
      {{- end -}}
      {{- if $names }}{{ $_ := set $statement $which $names }}{{ end -}}
    {{- end -}}
  {{- end -}}
  {{- $document := dict "Version" "2012-10-17" "Statement" $statements -}}
  {{- $policies = append $policies (dict "name" $user "content" (toJson $document)) -}}
  {{- $credentials := dict "accessKey" $key.accessKey "secretKey" $key.secretKey -}}
  {{- $identities = append $identities (dict "name" $user "credentials" (list $credentials) "policyNames" (list $user)) -}}
{{- end -}}
{{ dict "identities" $identities "policies" $policies | toPrettyJson }}
{{- end }}
