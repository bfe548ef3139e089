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

There is no NotResource, which the store does not know as soon as it hands out temporary credentials: what people may do
with all but a few keys is allowed for all, and denied for those.
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
  - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: ["*"]}
  - {Effect: Deny, Action: ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: [projects/*, runs/*]}
  - {Effect: Deny, Action: ["s3:GetObject"], Resource: [projects/*, runs/*/pairs/*, runs/*/seed-*]}
{{- end }}

{{/* What temporary credentials of the bundled store may do at most; the REST service narrows each to less. */}}
{{- define "linkage.temporaryPolicy" -}}
- {Effect: Allow, Action: ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: ["arn:aws:s3:::linkage/projects/*/uploads/*"]}
- {Effect: Allow, Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::linkage/runs/*/result/*"]}
{{- end }}

{{- define "linkage.temporaryRole" -}}
{{- if .Values.store.bundled.enabled -}}
arn:aws:iam::000000000000:role/temporary
{{- else -}}
{{ .Values.store.temporaryCredentials.roleArn }}
{{- end }}
{{- end }}

{{/*
The configuration of the bundled store's token service: one role, which only the REST service may assume. Whoever has
the signing key can make credentials of any kind, so that it is derived from what no single user has: all users' keys.
*/}}
{{- define "linkage.iamJson" -}}
{{- $secrets := list -}}
{{- range $user := list "operator" "api" "scorer" "uploader" -}}
  {{- $secrets = append $secrets (index $.Values.generated.keys $user).secretKey -}}
{{- end -}}
{{- $signingKey := printf "signing key: %s" (toJson $secrets) | sha256sum | b64enc -}}
{{- $policy := dict "Version" "2012-10-17" "Statement" (include "linkage.temporaryPolicy" . | fromYamlArray) -}}
{{- $principal := dict "AWS" (list "arn:aws:iam::000000000000:user/api") -}}
{{- $trusted := dict "Effect" "Allow" "Principal" $principal "Action" (list "sts:AssumeRole") -}}
{{- $trust := dict "Version" "2012-10-17" "Statement" (list $trusted) -}}
{{- $role := dict "roleName" "temporary" "roleArn" "arn:aws:iam::000000000000:role/temporary" "trustPolicy" $trust "attachedPolicies" (list "temporary") -}}
{{- dict
  "sts" (dict "tokenDuration" "1h" "maxSessionLength" "12h" "issuer" "linkage-store" "signingKey" $signingKey)
  "policy" (dict "defaultEffect" "Deny" "storeType" "memory")
  "roleStore" (dict "storeType" "memory")
  "policies" (list (dict "name" "temporary" "document" $policy))
  "roles" (list $role) | toPrettyJson }}
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
    {{- $names := list -}}
    {{- range $statement.Resource -}}
      {{- $names = append $names (eq . "bucket" | ternary "arn:aws:s3:::linkage" (printf "arn:aws:s3:::linkage/%s" .)) -}}
    {{- end -}}
    {{- $_ := set $statement "Resource" $names -}}
  {{- end -}}
  {{- $document := dict "Version" "2012-10-17" "Statement" $statements -}}
  {{- $policies = append $policies (dict "name" $user "content" (toJson $document)) -}}
  {{- $credentials := dict "accessKey" $key.accessKey "secretKey" $key.secretKey -}}
  {{- $identities = append $identities (dict "name" $user "credentials" (list $credentials) "policyNames" (list $user)) -}}
{{- end -}}
{{ dict "identities" $identities "policies" $policies | toPrettyJson }}
{{- end }}
