{{/* The name of the application. */}}
{{- define "tieline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of what a release makes: at most 57 letters, so that "-admin" fits behind it. */}}
{{- define "tieline.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 57 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 57 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tieline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tieline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tieline.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tieline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels and annotations of an object: the labels of all, and those of its own table of values. */}}
{{- define "tieline.metadata" -}}
{{- $own := index . 1 -}}
labels:
  {{- include "tieline.labels" (index . 0) | nindent 2 }}
  {{- with $own.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $own.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tieline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tieline.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "tieline.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion }}
{{- if .Values.image.digest }}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository $tag }}
{{- end }}
{{- end }}

{{- define "tieline.configMapName" -}}
{{- .Values.existingConfigMap | default (include "tieline.fullname" .) }}
{{- end }}

{{/*
The configuration as JSON, to be read back with fromJson; {} where the chart does not know it (existingConfigMap).
What Helm says about a text that is no TOML may hold a piece of it, so only the line is told.
*/}}
{{- define "tieline.configuration" -}}
{{- if .Values.existingConfigMap }}
{{- if or .Values.config .Values.configFiles }}
{{- fail "set config (and configFiles) or existingConfigMap, not both" }}
{{- end }}
{{- "{}" }}
{{- else if not (trim .Values.config) }}
{{- fail "set config, the text of tieline.toml (--set-file config=tieline.toml), or existingConfigMap" }}
{{- else }}
{{- $read := fromToml .Values.config }}
{{- if hasKey $read "Error" }}
{{- fail (printf "config is no TOML (%s); `tieline config check` says more" (regexFind "line [0-9]+" ($read.Error | toString) | default "somewhere")) }}
{{- end }}
{{- range $table := list "server" "admin" }}
{{- if hasKey (get $read $table | default dict) "listen" }}
{{- fail (printf "take %s.listen out of config: the chart sets it, from listenAddress and ports" $table) }}
{{- end }}
{{- end }}
{{- toJson $read }}
{{- end }}
{{- end }}

{{/* Whole seconds of a duration of the configuration, rounded up. Called with the setting's name and the duration. */}}
{{- define "tieline.seconds" -}}
{{- $name := index . 0 }}
{{- $text := index . 1 | toString }}
{{- if not (regexMatch "^[0-9]+(ms|s|m|h)$" $text) }}
{{- fail (printf "%s in config is no duration, such as \"25s\"" $name) }}
{{- end }}
{{- $count := regexFind "^[0-9]+" $text | int64 }}
{{- if hasSuffix "ms" $text }}
{{- div (add $count 999) 1000 }}
{{- else if hasSuffix "s" $text }}
{{- $count }}
{{- else if hasSuffix "m" $text }}
{{- mul $count 60 }}
{{- else }}
{{- mul $count 3600 }}
{{- end }}
{{- end }}

{{/* How long a stop may take: drain_delay, request_deadline, a second to cut what is left, and four to spare. */}}
{{- define "tieline.grace" -}}
{{- $limits := (include "tieline.configuration" . | fromJson).limits | default dict }}
{{- $drain := include "tieline.seconds" (list "limits.drain_delay" ($limits.drain_delay | default "5s")) }}
{{- $deadline := include "tieline.seconds" (list "limits.request_deadline" ($limits.request_deadline | default "25s")) }}
{{- $least := add $drain $deadline 5 }}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds }}
{{- $least }}
{{- else if lt (int64 .Values.terminationGracePeriodSeconds) $least }}
{{- fail (printf "terminationGracePeriodSeconds must be at least %d: limits.drain_delay, limits.request_deadline and 5 s" $least) }}
{{- else }}
{{- int64 .Values.terminationGracePeriodSeconds }}
{{- end }}
{{- end }}

{{/* The most replicas without a rolling update. */}}
{{- define "tieline.replicasAtMost" -}}
{{- if .Values.autoscaling.enabled }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas" }}
{{- end }}
{{- int .Values.autoscaling.maxReplicas }}
{{- else }}
{{- int .Values.replicaCount }}
{{- end }}
{{- end }}

{{/* The most replicas there may be at once: those, and what a rolling update starts beside them. */}}
{{- define "tieline.replicasMax" -}}
{{- $most := include "tieline.replicasAtMost" . | int }}
{{- $surge := .Values.rollingUpdate.maxSurge | toString }}
{{- if hasSuffix "%" $surge }}
{{- add $most (div (add (mul $most (trimSuffix "%" $surge | int)) 99) 100) }}
{{- else }}
{{- add $most (int $surge) }}
{{- end }}
{{- end }}

{{/* The Secrets that pods have as folders: those of `secrets`, and those of the roster's database. */}}
{{- define "tieline.secrets" -}}
{{- $postgres := .Values.roster.postgres }}
{{- $all := .Values.secrets }}
{{- if $postgres.address }}
{{- /* Not told what it is: it may hold a password. */}}
{{- $fits := regexMatch "^postgres(ql)?://[^\\s:@/?]+@[^\\s@/?]+/[^\\s@/?]+([?][^\\s@]*)?$" $postgres.address }}
{{- if or (not $fits) (regexMatch "(?i)[?&]password=" $postgres.address) }}
{{- fail "roster.postgres.address must be postgresql://USER@HOST/DATABASE, without a password; name its Secret in roster.postgres.existingSecret" }}
{{- end }}
{{- if .Values.persistence.enabled }}
{{- fail "persistence is for [roster] file: with roster.postgres.address there is none" }}
{{- end }}
{{- $read := (include "tieline.configuration" . | fromJson).roster | default dict }}
{{- range $field := list "file" "postgres" "password" "ca_file" }}
{{- if hasKey $read $field }}
{{- fail (printf "take %s of [roster] out of config: roster.postgres of the values sets it" $field) }}
{{- end }}
{{- end }}
{{- if $postgres.existingSecret }}
{{- $all = append $all (dict "name" "roster" "existingSecret" $postgres.existingSecret "items" (list (dict "key" $postgres.passwordKey "path" $postgres.passwordKey))) }}
{{- end }}
{{- if $postgres.caSecret }}
{{- $all = append $all (dict "name" "roster-ca" "existingSecret" $postgres.caSecret "items" (list (dict "key" $postgres.caKey "path" $postgres.caKey))) }}
{{- end }}
{{- else if or $postgres.existingSecret $postgres.caSecret }}
{{- fail "roster.postgres has a Secret and no address" }}
{{- end }}
{{- $names := list }}
{{- range $all }}
{{- if has .name $names }}
{{- fail (printf "two Secrets have the name %s in secrets (roster and roster-ca are those of roster.postgres)" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/*
Ports that the NetworkPolicy lets nothing out to, of addresses such as "valkey://a:6379". Called with the root, the
addresses and the port of those that name none; says the first one, or nothing.
*/}}
{{- define "tieline.closedPort" -}}
{{- $values := (index . 0).Values }}
{{- $usual := index . 2 }}
{{- $open := $values.networkPolicy.upstreamPorts }}
{{- $all := not $values.networkPolicy.enabled }}
{{- range $values.networkPolicy.egress }}
{{- if not .ports }}
{{- $all = true }}
{{- end }}
{{- range .ports }}
{{- if or (not .port) .endPort (kindIs "string" .port) }}
{{- $all = true }}
{{- else }}
{{- $open = append $open .port }}
{{- end }}
{{- end }}
{{- end }}
{{- $closed := list }}
{{- range $address := index . 1 }}
{{- range $host := regexReplaceAll "^[a-z+]+://([^@/]*@)?([^/?]*).*$" $address "${2}" | splitList "," }}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default $usual }}
{{- if not (has $port (toStrings $open)) }}
{{- $closed = append $closed $port }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $closed (not $all) }}
{{- first $closed }}
{{- end }}
{{- end }}

{{/* The variables that the chart sets. */}}
{{- define "tieline.env" -}}
{{- $commons := (include "tieline.configuration" . | fromJson).commons }}
{{- $most := include "tieline.replicasMax" . | int }}
{{- range .Values.env }}
{{- if has .name (list "TIELINE_SERVER__LISTEN" "TIELINE_ADMIN__LISTEN" "TIELINE_COMMONS__REPLICAS_MAX" "TIELINE_LIMITS__DRAIN_DELAY" "TIELINE_LIMITS__REQUEST_DEADLINE" "TIELINE_CONFIG" "TIELINE_ROSTER__POSTGRES" "TIELINE_ROSTER__PASSWORD__FILE" "TIELINE_ROSTER__CA_FILE") }}
{{- fail (printf "take %s out of env: the chart sets it, or counts with the value in config" .name) }}
{{- end }}
{{- end -}}
- name: TIELINE_SERVER__LISTEN
  value: {{ printf "%s:%d" .Values.listenAddress (int .Values.ports.http) | quote }}
- name: TIELINE_ADMIN__LISTEN
  value: {{ printf "%s:%d" .Values.listenAddress (int .Values.ports.admin) | quote }}
{{- with .Values.roster.postgres }}
{{- if .address }}
- name: TIELINE_ROSTER__POSTGRES
  value: {{ .address | quote }}
{{- if .existingSecret }}
- name: TIELINE_ROSTER__PASSWORD__FILE
  value: {{ printf "/run/secrets/tieline/roster/%s" .passwordKey | quote }}
{{- end }}
{{- if .caSecret }}
- name: TIELINE_ROSTER__CA_FILE
  value: {{ printf "/run/secrets/tieline/roster-ca/%s" .caKey | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if $commons }}
{{- if not (hasKey $commons "replicas_max") }}
- name: TIELINE_COMMONS__REPLICAS_MAX
  value: {{ $most | quote }}
{{- else if lt (int $commons.replicas_max) $most }}
{{- fail (printf "commons.replicas_max in config must be at least %d (the most replicas, and those of a rolling update); leave it out, and the chart sets it" $most) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A digest of what changes the pods when it changes. A running gateway takes up everything else by itself; the settings
named here need a start (docs/OPERATING.md, "Start and stop").
*/}}
{{- define "tieline.restartOn" -}}
{{- if eq .Values.restartOn "change" }}
{{- list .Values.config .Values.configFiles | toJson | sha256sum }}
{{- else }}
{{- $read := include "tieline.configuration" . | fromJson }}
{{- $server := $read.server | default dict }}
{{- $kept := omit $server "hosts" "trusted_proxies" "accept_request_id" "compression" "tls" }}
{{- $admin := omit ($read.admin | default dict) "hosts" }}
{{- $log := pick ($read.log | default dict) "level" "format" }}
{{- $traces := pick ($read.traces | default dict) "otlp_endpoint" "ca_file" }}
{{- list $kept (hasKey $server "tls") $admin $log $traces | toJson | sha256sum }}
{{- end }}
{{- end }}
