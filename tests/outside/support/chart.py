"""The chart in deploy/helm/tieline, and what is made from it. See tests/outside/chart.sh.

chart.py HELM SCHEMAS TIELINE FOLDER [record]: the program helm, the package of Kubernetes' schemas, the program of
Tieline, and a folder to work in. With `record` it writes README.md's table and deploy/kubernetes anew first.

Every other fact is taken from somebody else than the chart: what Kubernetes takes from its own schemas, what Tieline
takes from `tieline config check` and `config show` with the pod's variables.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

import jsonschema
import referencing
import yaml
from referencing.jsonschema import DRAFT202012

HELM, SCHEMAS, TIELINE, FOLDER, *RECORD = sys.argv[1:]
FOLDER = pathlib.Path(FOLDER)
ROOT = pathlib.Path.cwd()
CHART = ROOT / "deploy/helm/tieline"
PLAIN = ROOT / "deploy/kubernetes"
CASES = sorted(CHART.glob("ci/*-values.yaml"))
VERSIONS = ["1.29.0", "1.37.0"]
# Where the pods have their Secrets.
SECRETS = "/run/secrets/tieline/"
MADE = "<!-- From here on tests/outside/chart.sh makes this page from values.yaml. -->"


def fail(text):
    sys.exit(f"chart: {text}")


def helm(*arguments):
    """What helm says; the check ends if it fails."""
    done = run(HELM, *arguments)
    if done.returncode:
        fail(f"helm {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return done.stdout


def run(*arguments, **options):
    environment = {"PATH": os.environ["PATH"], "HOME": str(FOLDER)} | options.pop("env", {})
    return subprocess.run([str(each) for each in arguments], capture_output=True, text=True, env=environment, **options)


def template(*arguments):
    """The objects of a release, by the template that made each."""
    objects = []
    for text in re.split(r"^---\n", helm("template", "one", CHART, "--namespace", "telephony", *arguments), flags=re.M):
        made = yaml.safe_load(text)
        if made:
            objects.append(made)
    return objects


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def only(objects, kind):
    found = of_kind(objects, kind)
    if len(found) != 1:
        fail(f"{len(found)} objects are {kind}, not one")
    return found[0]


# What Kubernetes takes.

class Kubernetes:
    """The schemas of one version, strict: an unknown field is refused."""

    def __init__(self, version, package):
        folder = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict"
        self.version, self.package, self.folder = version, package, folder
        self.names = set(package.namelist())
        self.validators = {}
        definitions = self.read("_definitions.json")
        resource = referencing.Resource(contents=definitions, specification=DRAFT202012)
        self.registry = referencing.Registry().with_resource("https://kubernetes.io/api/_definitions.json", resource)

    def read(self, name):
        return json.loads(self.package.read(f"{self.folder}/{name}"))

    def check(self, what, made):
        group, _, version = made["apiVersion"].rpartition("/")
        group = group.removesuffix(".k8s.io").split(".")[0]
        name = "-".join(part for part in [made["kind"].lower(), group, version] if part) + ".json"
        if f"{self.folder}/{name}" not in self.names:
            fail(f"{what}: Kubernetes {self.version} has no {made['apiVersion']} {made['kind']}")
        if name not in self.validators:
            self.validators[name] = jsonschema.Draft202012Validator(self.read(name), registry=self.registry)
        errors(f"{what}, Kubernetes {self.version}", made, self.validators[name])


def errors(what, made, validator):
    for error in validator.iter_errors(made):
        fail(f"{what}: {made['kind']} {made['metadata']['name']}: {error.json_path}: {error.message[:300]}")


CRDS = json.loads((ROOT / "tests/outside/support/chart_crds.json").read_text())


def of_others(what, made):
    """Kinds that Kubernetes does not have: the fields that the chart writes, as their own pages have them."""
    schema = CRDS[made["kind"]] | {"$defs": CRDS["$defs"]}
    if set(made) != {"apiVersion", "kind", "metadata", "spec"}:
        fail(f"{what}: {made['kind']} has {sorted(made)}")
    validator = jsonschema.Draft202012Validator(schema)
    for error in validator.iter_errors(made["spec"]):
        fail(f"{what}: {made['kind']}: {error.json_path}: {error.message[:300]}")


# What the pods may do, and what they read.

def pod_of(what, objects):
    deployment = only(objects, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    container = next(one for one in spec["containers"] if one["name"] == "tieline")
    secure, inside = spec["securityContext"], container["securityContext"]
    restricted = [
        secure["runAsNonRoot"] is True, secure["runAsUser"] == 65532, secure["fsGroup"] == 65532,
        secure["seccompProfile"] == {"type": "RuntimeDefault"}, inside["allowPrivilegeEscalation"] is False,
        inside["readOnlyRootFilesystem"] is True, inside["capabilities"] == {"drop": ["ALL"]},
        spec["automountServiceAccountToken"] is False, not spec.get("hostNetwork"),
    ]
    if not all(restricted):
        fail(f"{what}: the pod may do more than it needs: {restricted}")
    for mount in container["volumeMounts"]:
        if "subPath" in mount or "subPathExpr" in mount:
            fail(f"{what}: the kubelet never updates {mount}")
    for probe, path in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]:
        if container[probe]["httpGet"] != {"path": path, "port": "admin"}:
            fail(f"{what}: {probe} asks {container[probe]['httpGet']}")
    return deployment, spec, container


def secrets_in(what, value, name, mounts):
    """Every secret of a configuration is a digest, or a file in the folder of a mounted Secret."""
    for key, inner in value.items() if isinstance(value, dict) else []:
        if key in ("legacy_key", "upstream_key", "password", "seal_key"):
            file = inner.get("file", "") if isinstance(inner, dict) else None
            if file is None or not ("digest" in inner or any(file.startswith(mount + "/") for mount in mounts)):
                fail(f"{what}: {name}{key} is in no Secret that the pod has")
        secrets_in(what, inner, f"{name}{key}.", mounts)
    for inner in value if isinstance(value, list) else []:
        secrets_in(what, inner, name, mounts)


def loads(what, objects):
    """The real program takes what the pod would read, and has the ports, times and numbers that the chart counts with."""
    deployment, spec, container = pod_of(what, objects)
    if of_kind(objects, "Secret"):
        fail(f"{what}: the chart makes a Secret")
    name = next(one["configMap"]["name"] for one in spec["volumes"] if one["name"] == "config")
    data = next(one for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"] == name)["data"]
    text = data["tieline.toml"]
    mounts = [one["mountPath"] for one in container["volumeMounts"] if one["mountPath"].startswith(SECRETS)]
    secrets_in(what, tomllib.loads(text), "", mounts)

    folder = FOLDER / what
    for file, contents in data.items():
        write(folder / "config" / file, inside(folder, contents))
    for path in sorted(set(re.findall(r'"(/run/secrets/tieline/[^"]+)"', text))):
        write(folder / path[1:], secret(path))
    if "persistentVolumeClaim" in str(spec["volumes"]):
        (folder / "var/lib/tieline").mkdir(parents=True)
    environment = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    for name, value in environment.items():
        if value.startswith(SECRETS):
            if not any(value.startswith(mount + "/") for mount in mounts):
                fail(f"{what}: {name} is {value}, in no Secret that the pod has")
            write(folder / value[1:], secret(value))
            environment[name] = inside(folder, value)
    file = folder / "config/tieline.toml"
    done = run(TIELINE, "config", "check", "--config", file, env=environment)
    if done.returncode:
        fail(f"{what}: tieline config check\n{done.stdout}{done.stderr}")
    done = run(TIELINE, "config", "show", "--format", "json", "--config", file, env=environment)
    if done.returncode:
        fail(f"{what}: tieline config show\n{done.stdout}{done.stderr}")
    shown = {one["setting"]: one.get("secret", one["value"]) for one in json.loads(done.stdout)}
    agree(what, deployment, spec, container, shown, objects)


def agree(what, deployment, spec, container, shown, objects):
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    for port, setting in [("http", "server.listen"), ("admin", "admin.listen")]:
        if not str(shown[setting]).endswith(f":{ports[port]}") or "127.0.0.1" in shown[setting]:
            fail(f"{what}: {setting} is {shown[setting]}, the port is {ports[port]}")
    least = seconds(shown["limits.drain_delay"]) + seconds(shown["limits.request_deadline"]) + 5
    grace = spec["terminationGracePeriodSeconds"]
    if grace < least or (what != "hardened" and grace >= least + 1):
        fail(f"{what}: {grace} s of grace, the program needs {least} s")
    strategy = deployment["spec"]["strategy"]
    scaler = of_kind(objects, "HorizontalPodAutoscaler")
    most = scaler[0]["spec"]["maxReplicas"] if scaler else deployment["spec"]["replicas"]
    if scaler and "replicas" in deployment["spec"]:
        fail(f"{what}: the Deployment sets replicas, and so does the autoscaler")
    if what == "replicas":
        found = {name: shown[f"roster.{name}"] for name in ["postgres", "password", "ca_file"]}
        if "db-1.data.svc:5433" not in found["postgres"] or not all("/run/secrets/tieline/roster" in str(found[name]) for name in ["password", "ca_file"]):
            fail(f"{what}: the roster is {found}")
    if "commons.replicas_max" in shown:
        surge = strategy["rollingUpdate"]["maxSurge"]
        if isinstance(surge, str):
            surge = -(-most * int(surge.removesuffix("%")) // 100)
        if int(shown["commons.replicas_max"]) < most + surge or (scaler and int(shown["commons.replicas_max"]) != most + surge):
            fail(f"{what}: replicas_max is {shown['commons.replicas_max']}, there may be {most + surge} replicas")
    if strategy["type"] == "RollingUpdate" and strategy["rollingUpdate"]["maxUnavailable"] != 0:
        fail(f"{what}: an update takes replicas away first")


def seconds(text):
    count, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", str(text)).groups()
    return int(count) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def write(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents)


def inside(folder, text):
    """A configuration whose folders are below this one."""
    return text.replace(SECRETS, f"{folder}{SECRETS}").replace("/var/lib/tieline", f"{folder}/var/lib/tieline")


def secret(path):
    """Something of the kind that a file would hold."""
    if path.endswith(".crt"):
        return (FOLDER / "made.crt").read_text()
    if path.endswith("tls.key"):
        return (FOLDER / "made.key").read_text()
    if path.endswith("seal_key"):
        return run(TIELINE, "key", "seal").stdout
    return "client:" + path.rpartition("/")[2].replace("_", "-")


# What is made from the chart, and the copies in it.

def read_values():
    """Each value of values.yaml that has a comment: its name, its default and the comment; None for a heading."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    values = yaml.safe_load("\n".join(lines))
    path, comment, rows = [], [], []
    for line in lines:
        heading = re.match(r"# ==== (.*)", line)
        found = re.match(r"( *)([A-Za-z]\w*):", line)
        said = re.match(r" *# ?(-- )?(.*)", line)
        if heading:
            rows.append((None, heading.group(1), None))
        elif said:
            comment = [said.group(2)] if said.group(1) else comment + [said.group(2)] if comment else []
        elif found and len(found.group(1)) % 2 == 0 and len(found.group(1)) // 2 <= len(path):
            path = [*path[: len(found.group(1)) // 2], found.group(2)]
            if comment:
                value = values
                for part in path:
                    value = value[part]
                rows.append((".".join(path), value, " ".join(comment)))
            comment = []
        elif not line.strip():
            comment = []
    return values, rows


def readme():
    kept = (CHART / "README.md").read_text().partition(MADE)[0]
    made = [kept + MADE, ""]
    for name, value, comment in read_values()[1]:
        if name is None:
            made += ["" if made[-1] else None, f"### {value}", "", "| value | default | meaning |", "|---|---|---|"]
        else:
            # Kubernetes' own tables are too long for a column.
            default = json.dumps(value)
            default = f"`{default}`" if len(default) <= 60 else "see values.yaml"
            made.append(f"| `{name}` | {default} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(line for line in made if line is not None) + "\n"


def plain():
    """The files of deploy/kubernetes: each template's objects, without what only Helm would use."""
    values = PLAIN / "values.yaml"
    text = helm("template", "tieline", CHART, "--namespace", "tieline", "--values", values)
    files = {}
    for part in re.split(r"^---\n", text, flags=re.M):
        source = re.match(r"# Source: tieline/templates/(\S+)\n", part)
        if source:
            lines = part[source.end():].splitlines()
            lines = [line.rstrip() for line in lines if not re.match(r" +(helm\.sh/chart|app\.kubernetes\.io/managed-by):", line)]
            files[source.group(1)] = "\n".join(lines).strip() + "\n"
    head = "# Rendered from deploy/helm/tieline with values.yaml by tests/outside/chart.sh.\n"
    kustomization = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: tieline", "resources:"]
    files["kustomization.yaml"] = "\n".join(kustomization + [f"  - {name}" for name in ["namespace.yaml", *sorted(files)]]) + "\n"
    files["namespace.yaml"] = NAMESPACE
    return {name: head + text for name, text in files.items()}


NAMESPACE = """apiVersion: v1
kind: Namespace
metadata:
  name: tieline
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def copies():
    for name in ["alerts.yaml", "grafana-dashboard.json"]:
        if (CHART / "files" / name).read_bytes() != (ROOT / "deploy" / name).read_bytes():
            fail(f"deploy/{name} changed: copy it to deploy/helm/tieline/files (RECORD=1 does)")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    if chart["appVersion"] != version or images[0]["image"] != f"tieline:{version}":
        fail(f"Chart.yaml names {chart['appVersion']} and {images[0]['image']}, the program is {version}")
    for note in ["images", "changes", "links"]:
        if not isinstance(yaml.safe_load(chart["annotations"][f"artifacthub.io/{note}"]), list):
            fail(f"Chart.yaml: artifacthub.io/{note} is no list")
    if (CHART / "README.md").read_text() != readme():
        fail("deploy/helm/tieline/README.md is not made from values.yaml: RECORD=1 tests/outside/chart.sh")
    made = plain()
    present = {path.name: path.read_text() for path in PLAIN.iterdir() if path.name not in ("values.yaml", "README.md")}
    for name in sorted(made.keys() | present.keys()):
        if made.get(name) != present.get(name):
            fail(f"deploy/kubernetes/{name} is not what the chart renders: RECORD=1 tests/outside/chart.sh")


def record():
    for name in ["alerts.yaml", "grafana-dashboard.json"]:
        (CHART / "files" / name).write_bytes((ROOT / "deploy" / name).read_bytes())
    (CHART / "README.md").write_text(readme())
    for path in PLAIN.iterdir():
        if path.name not in ("values.yaml", "README.md"):
            path.unlink()
    for name, text in plain().items():
        (PLAIN / name).write_text(text)


# What the chart refuses, and what it says.

def same_names(schema, values, name=""):
    """Schema and values have the same names, and every table of the chart refuses others."""
    shape = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" not in shape:
        return
    if shape.get("additionalProperties") is not False:
        fail(f"values.schema.json: {name or 'the whole'} takes unknown names")
    known = set(shape["properties"]) - {"global"}
    if not isinstance(values, dict) or (known != set(values) and "Probe" not in name) or set(values) - known:
        fail(f"values.yaml and values.schema.json differ at {name or 'the top'}: {known ^ set(values)}")
    for inner in values:
        same_names_of = shape["properties"][inner]
        same_names({"$defs": schema["$defs"]} | same_names_of, values[inner], f"{name}.{inner}".strip("."))


GOOD = CHART / "ci/default-values.yaml"
CONFIG = yaml.safe_load(GOOD.read_text())["config"]
CANARY = "v4-key-canary"
DATABASE = {"postgres": {"address": "postgresql://tieline@db/tieline", "existingSecret": "tieline-roster"}}
# Values, and what the refusal must say.
REFUSED = [
    ({"replicas": 2}, "replicas"),
    ({"image": {"repo": "x"}}, "repo"),
    ({"replicaCount": "two"}, "/replicaCount"),
    ({"ports": {"http": 80}}, "/ports/http"),
    ({"image": {"digest": "sha256:beef"}}, "/image/digest"),
    ({"service": {"type": "ExternalName"}}, "/service/type"),
    ({"secrets": [{"name": "keys", "secretName": "x"}]}, "secretName"),
    ({"env": [{"name": "A", "val": "b"}]}, "val"),
    ({"configFiles": {"tieline.toml": ""}}, "propertyName 'tieline.toml'"),
    ({"commonLabels": {"a": 1}}, "/commonLabels/a"),
    ({"config": ""}, "set config"),
    ({"existingConfigMap": "mine"}, "not both"),
    ({"config": f"upstream_key = {CANARY}"}, "config is no TOML (line 1)"),
    ({"config": "[server]\nlisten = \"0.0.0.0:80\"\n" + CONFIG}, "take server.listen out of config"),
    ({"config": "[limits]\ndrain_delay = \"soon\"\n" + CONFIG}, "limits.drain_delay in config is no duration"),
    ({"config": "[commons]\nreplicas_max = 1\n" + CONFIG}, "must be at least 2"),
    ({"terminationGracePeriodSeconds": 30}, "must be at least 35"),
    ({"env": [{"name": "TIELINE_SERVER__LISTEN", "value": "x"}]}, "take TIELINE_SERVER__LISTEN out of env"),
    ({"persistence": {"enabled": True}, "replicaCount": 2}, "a file of one machine"),
    ({"autoscaling": {"enabled": True, "minReplicas": 9}}, "is larger than"),
    ({"roster": {"file": "x"}}, "file"),
    ({"roster": {"postgres": {"address": f"postgresql://u:{CANARY}@h/d"}}}, "without a password"),
    ({"roster": {"postgres": {"address": f"postgresql://u@h/d?sslmode=require&Password={CANARY}"}}}, "without a password"),
    ({"roster": {"postgres": {"existingSecret": "x"}}}, "a Secret and no address"),
    ({"roster": DATABASE, "config": "[roster]\nfile = \"/x\"\n" + CONFIG}, "take file of [roster] out of config"),
    ({"roster": DATABASE, "persistence": {"enabled": True}}, "persistence is for [roster] file"),
    ({"roster": DATABASE, "secrets": [{"name": "roster", "existingSecret": "x"}]}, "two Secrets have the name roster"),
    ({"env": [{"name": "TIELINE_ROSTER__POSTGRES", "value": "x"}]}, "take TIELINE_ROSTER__POSTGRES out of env"),
]


def refuses():
    for number, (values, says) in enumerate(REFUSED):
        file = FOLDER / f"refused-{number}.json"
        file.write_text(json.dumps(values))
        done = run(HELM, "template", "one", CHART, "--values", GOOD, "--values", file)
        said = done.stdout + done.stderr
        if done.returncode == 0 or says not in re.sub(r"\s+", " ", said) or CANARY in said:
            fail(f"{values} should be refused with {says!r}; exit code {done.returncode}\n{said[-1500:]}")


def annotation(values):
    file = FOLDER / "annotation.json"
    file.write_text(json.dumps(values))
    spec = only(template("--values", GOOD, "--values", file, "--show-only", "templates/deployment.yaml"), "Deployment")["spec"]
    return spec["template"]


def restarts():
    """Pods are replaced for the settings that need a start, and for no others."""
    started = annotation({})
    narrowed = CONFIG.replace('"everything"', "{ teams = [1] }")
    if CONFIG == narrowed or annotation({"config": narrowed}) != started:
        fail("a changed caller replaces pods, which would take it up by themselves")
    for table in ['[log]\nlevel = "debug"\n', "[server]\nheaders_max = 50\n", "[admin]\nconnections_max = 32\n"]:
        if annotation({"config": table + CONFIG}) == started:
            fail(f"this needs a start, and replaces no pod:\n{table}")
    if annotation({"restartOn": "change", "config": narrowed}) == annotation({"restartOn": "change"}):
        fail("restartOn: change replaces no pod")


def adopts():
    """A ConfigMap of the user's is mounted, and the chart neither makes nor reads one."""
    objects = template("--set", "existingConfigMap=mine", "--set", "replicaCount=2")
    deployment, spec, _ = pod_of("existingConfigMap", objects)
    mounted = [one["configMap"]["name"] for one in spec["volumes"] if "configMap" in one]
    if of_kind(objects, "ConfigMap") or mounted != ["mine"] or "checksum" in str(deployment):
        fail(f"existingConfigMap: {mounted} is mounted")


def notes(*arguments):
    said = helm("install", "one", CHART, "--dry-run=client", "--namespace", "telephony", *arguments)
    return said.partition("NOTES:")[2]


def warns():
    if "WARNING" in notes("--values", GOOD):
        fail("NOTES.txt warns of the smallest configuration")
    if "2 replicas without [commons]" not in notes("--values", GOOD, "--set", "replicaCount=2"):
        fail("NOTES.txt says nothing of two replicas without [commons]")
    if "WARNING" in notes("--values", CHART / "ci/replicas-values.yaml"):
        fail("NOTES.txt warns of replicas with [commons]")
    said = notes("--values", CHART / "ci/replicas-values.yaml", "--set", "networkPolicy.egress[0].ports[1].port=1,networkPolicy.egress[0].ports[0].port=2")
    for warning in ["port 6379, at which [commons]", "port 5432, at which the roster"]:
        if warning not in said:
            fail(f"NOTES.txt says nothing of {warning}")


def monitored(objects):
    """The rules and the dashboard are those of deploy/."""
    of_alerts = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"]
    of_alerts[0]["rules"] = [rule for rule in of_alerts[0]["rules"] if rule["alert"] != "TielineRateLimited"]
    rendered = only(objects, "PrometheusRule")["spec"]["groups"]
    if rendered[: len(of_alerts)] != of_alerts or len(rendered) != len(of_alerts) + 1:
        fail("the PrometheusRule has other rules than deploy/alerts.yaml")
    dashboard = next(one for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"].endswith("-dashboard"))
    if dashboard["metadata"]["labels"]["grafana_dashboard"] != "1":
        fail("the dashboard lacks its label")
    if json.loads(dashboard["data"]["tieline.json"]) != json.loads((ROOT / "deploy/grafana-dashboard.json").read_text()):
        fail("the dashboard is not that of deploy/")
    monitor = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    chosen = [one for one in of_kind(objects, "Service") if monitor.items() <= one["metadata"]["labels"].items()]
    if [one["metadata"]["name"] for one in chosen] != ["one-tieline-admin"]:
        fail("the ServiceMonitor chooses another Service than that of the admin port")


def main():
    if RECORD:
        record()
    if len(CASES) != 6:
        fail(f"{len(CASES)} cases in ci, not six")
    schema = json.loads((CHART / "values.schema.json").read_text())
    same_names(schema, read_values()[0])
    copies()
    checked = 0
    with zipfile.ZipFile(SCHEMAS) as package:
        versions = [Kubernetes(version, package) for version in VERSIONS]
        sets = [(file.name.removesuffix("-values.yaml"), ["--values", file]) for file in CASES]
        sets.append(("plain", None))
        for what, arguments in sets:
            if arguments:
                helm("lint", "--strict", CHART, *arguments)
                objects = template(*arguments)
            else:
                texts = [path.read_text() for path in sorted(PLAIN.glob("*.yaml")) if path.name not in ("values.yaml", "kustomization.yaml")]
                objects = [one for text in texts for one in yaml.safe_load_all(text)]
            for made in objects:
                checked += 1
                if made["kind"] in CRDS:
                    of_others(what, made)
                    continue
                for kubernetes in versions:
                    kubernetes.check(what, made)
            loads(what, objects)
            if what == "monitoring":
                monitored(objects)
    refuses()
    restarts()
    adopts()
    warns()
    print(f"chart: {len(sets)} sets of values, {checked} objects for Kubernetes {' and '.join(VERSIONS)}, "
          f"{len(REFUSED)} bad values refused")


main()
