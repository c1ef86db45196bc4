#!/usr/bin/env bash
# testssl.sh against the TLS port: nothing of severity LOW or above, but for what it says about the
# check's own certificate (no revocation list behind it).
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl jq=jq openssl=openssl testssl=testssl.sh hexdump=bsdextrautils
build
vendor 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=ca \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n' >"$work/ext"
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 300 \
    -extfile "$work/ext" -out "$work/leaf.crt" 2>/dev/null
cat "$work/leaf.crt" "$work/ca.crt" >"$work/tls.crt"
gateway tls 'tls = { cert = "tls.crt", key = "tls.key" }'

ADDITIONAL_CA_FILES=$work/ca.crt testssl --quiet --warnings off --color 0 --ip 127.0.0.1 --nodns none \
    --jsonfile "$work/findings.json" "localhost:${gateway##*:}" >"$work/testssl.log" 2>&1 || true
[ -s "$work/findings.json" ] || fail "testssl.sh found nothing to say"
jq -r '.[] | select(.severity != "OK" and .severity != "INFO") | "\(.severity) \(.id): \(.finding)"' "$work/findings.json"
checked=$(jq length "$work/findings.json")
[ "$checked" -gt 80 ] || fail "only $checked checks were made"
bad=$(jq -r '[.[] | select(.severity == "LOW" or .severity == "MEDIUM" or .severity == "HIGH" or .severity == "CRITICAL" or .severity == "FATAL")
    | select(.id | test("^(cert_revocation|cert_ocspURL|cert_crlDistributionPoints|OCSP_stapling|DNS_CAArecord|cert_trust|HSTS|overall_grade)") | not) | .id] | join(" ")' "$work/findings.json")
[ -z "$bad" ] || fail "findings: $bad"
echo "tls: $checked findings, none of severity LOW or above beyond the certificate's own"
