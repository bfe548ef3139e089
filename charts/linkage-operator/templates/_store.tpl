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
only they read a run's seed, which tells whose records match. They have no user: see "linkage.jobsPolicy". The operator reads
neither encodings nor results.

There is no NotResource, which the store does not know as soon as it hands out temporary credentials: what people may do
with all but a few keys is allowed for all, and denied for those.
*/}}
{{- define "linkage.storePolicies" -}}
operator:
  - {Effect: Allow, Action: ["s3:CreateBucket", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: [runs/*/summary.json, runs/*/pairs/*.json, projects/*/contribution.json]}
  - {Effect: Allow, Action: ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"], Resource: [projects/*, runs/*]}
api:
  - {Effect: Allow, Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: [projects/*]}
  - {Effect: Allow, Action: ["s3:GetObject"], Resource: [runs/*/result/*]}
uploader:
  - {Effect: Allow, Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource: [bucket]}
  - {Effect: Allow, Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: ["*"]}
  - {Effect: Deny, Action: ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: [projects/*, runs/*]}
  - {Effect: Deny, Action: ["s3:GetObject"], Resource: [projects/*, runs/*/pairs/*, runs/*/seed-*]}
{{- end }}

{{/*
What the pods of Jobs may do in the bundled store at most. The operator assumes this role for each Job, narrowed to what the
Job reads and writes.
*/}}
{{- define "linkage.jobsPolicy" -}}
- {Effect: Allow, Action: ["s3:ListBucket"], Resource: ["arn:aws:s3:::linkage"]}
- {Effect: Allow, Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::linkage/*"]}
- {Effect: Allow, Action: ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource: ["arn:aws:s3:::linkage/projects/*", "arn:aws:s3:::linkage/runs/*"]}
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

{{/* The role of which each Job gets a part, or nothing. */}}
{{- define "linkage.jobsRole" -}}
{{- if .Values.store.bundled.enabled -}}
arn:aws:iam::000000000000:role/jobs
{{- else -}}
{{ .Values.store.jobCredentials.roleArn }}
{{- end }}
{{- end }}

{{/* A role of the bundled store's token service. (list "its name" "the user who may assume it") */}}
{{- define "linkage.role" -}}
{{- $name := index . 0 -}}
{{- $principal := dict "AWS" (list (printf "arn:aws:iam::000000000000:user/%s" (index . 1))) -}}
{{- $trusted := dict "Effect" "Allow" "Principal" $principal "Action" (list "sts:AssumeRole") -}}
{{- $trust := dict "Version" "2012-10-17" "Statement" (list $trusted) -}}
{{- $arn := printf "arn:aws:iam::000000000000:role/%s" $name -}}
{{- dict "roleName" $name "roleArn" $arn "trustPolicy" $trust "attachedPolicies" (list $name) | toYaml }}
{{- end }}

{{/*
The configuration of the bundled store's token service: the role of Jobs, which only the operator may assume, and that of
temporary credentials for parties, which only the REST service may. The signing key makes credentials of any kind, so it is
derived from what no single user has: all users' keys.
*/}}
{{- define "linkage.iamJson" -}}
{{- $secrets := list -}}
{{- range $user := list "operator" "api" "uploader" -}}
  {{- $secrets = append $secrets (index $.Values.generated.keys $user).secretKey -}}
{{- end -}}
{{- $signingKey := printf "signing key: %s" (toJson $secrets) | sha256sum | b64enc -}}
{{- $statements := dict "jobs" (include "linkage.jobsPolicy" . | fromYamlArray) -}}
{{- $roles := list (include "linkage.role" (list "jobs" "operator") | fromYaml) -}}
{{- if .Values.store.temporaryCredentials.enabled -}}
  {{- $_ := set $statements "temporary" (include "linkage.temporaryPolicy" . | fromYamlArray) -}}
  {{- $roles = append $roles (include "linkage.role" (list "temporary" "api") | fromYaml) -}}
{{- end -}}
{{- $policies := list -}}
{{- range $name, $of := $statements -}}
  {{- $policies = append $policies (dict "name" $name "document" (dict "Version" "2012-10-17" "Statement" $of)) -}}
{{- end -}}
{{- dict
  "sts" (dict "tokenDuration" "1h" "maxSessionLength" "12h" "issuer" "linkage-store" "signingKey" $signingKey)
  "policy" (dict "defaultEffect" "Deny" "storeType" "memory")
  "roleStore" (dict "storeType" "memory")
  "policies" $policies
  "roles" $roles | toPrettyJson }}
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
