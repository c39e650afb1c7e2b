#!/usr/bin/env python3
"""check_deploy.py: files for hosting, held against each other and against the image that they start.

Schemas of Fly.io and Railway are on their servers only, so what can be wrong here is checked by hand: fields that are not known,
ports, paths and Dockerfiles that are not what the image has."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import kubernetes_validate
import yaml

ROOT = pathlib.Path(sys.argv[1])
KUBERNETES = "1.34"
FLY = {
    "app", "primary_region", "kill_signal", "kill_timeout", "build", "env", "mounts", "http_service", "metrics", "vm",
}
RAILWAY = {
    "build": {"builder", "dockerfilePath"},
    "deploy": {"startCommand", "healthcheckPath", "healthcheckTimeout", "restartPolicyType", "restartPolicyMaxRetries"},
}
problems = []


def expect(condition, problem):
    if not condition:
        problems.append(problem)


image = (ROOT / "docker/regressd.Dockerfile").read_text()
exposed = {int(port) for port in re.search(r"^EXPOSE (.*)$", image, re.M)[1].split()}
state = re.search(r"^VOLUME (.*)$", image, re.M)[1]
user = int(re.findall(r"^USER (\d+)$", image, re.M)[-1])
version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
sections = {"SERVER", "DATABASE", "GITHUB", "OIDC", "JUDGING", "JOBS", "RETENTION", "ANALYTICS", "REPORTS", "BACKUP", "LOGGING"}

fly = tomllib.loads((ROOT / "deploy/fly.toml").read_text())
expect(set(fly) <= FLY, f"fly.toml: fields that are not known: {set(fly) - FLY}")
expect((ROOT / "deploy" / fly["build"]["dockerfile"]).is_file(), "fly.toml: its Dockerfile is not there")
expect(fly["http_service"]["internal_port"] in exposed, "fly.toml: the image listens at another port")
expect(fly["metrics"]["port"] in exposed, "fly.toml: the image has its metrics at another port")
expect([mount["destination"] for mount in fly["mounts"]] == [state], "fly.toml: the volume is not where the image keeps its state")
expect(fly["env"]["REGRESSD_DATABASE_URL"].startswith(state + "/"), "fly.toml: the database is not on the volume")
for check in fly["http_service"]["checks"]:
    expect(check["path"] in {"/health", "/ready"}, f"fly.toml: nothing answers at {check['path']}")
for name in fly["env"]:
    expect(name.split("_")[0] == "REGRESSD" and name.split("_")[1] in sections, f"fly.toml: {name} is no setting")

railway = json.loads((ROOT / "deploy/railway.json").read_text())
for section, fields in RAILWAY.items():
    expect(set(railway[section]) <= fields, f"railway.json: fields that are not known in {section}")
expect((ROOT / railway["build"]["dockerfilePath"]).is_file(), "railway.json: its Dockerfile is not there")
expect(railway["deploy"]["healthcheckPath"] == "/health", "railway.json: nothing answers at its path")

for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml")):
    for document in yaml.safe_load_all(path.read_text()):
        name = f"{path.name}: {document['kind']} {document['metadata']['name']}"
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{name}: {'.'.join(str(part) for part in error.path)}: {error.message}")
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        pod = spec.get("template", {}).get("spec")
        if pod is None:
            continue
        expect(pod["securityContext"].get("runAsUser") == user, f"{name}: the image's user is {user}")
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            expect(container["image"].endswith(f":{version}"), f"{name}: the image is not that of version {version}")
            for port in container.get("ports", []):
                expect(port["containerPort"] in exposed, f"{name}: the image listens at another port")
            for mount in container["volumeMounts"]:
                expect(mount["name"] in volumes, f"{name}: there is no volume {mount['name']}")
    if path.name == "snippex-sweep.yaml":
        job = next(yaml.safe_load_all(path.read_text()))["spec"]
        script = job["template"]["spec"]["containers"][0]["args"][0]
        expect(f"/{job['completions']}\"" in script, "snippex-sweep.yaml: the parts are not as many as the completions")

# The array's script, with a snippex that says what it was asked for.
fake = pathlib.Path(sys.argv[2])
fake.mkdir(parents=True, exist_ok=True)
(fake / "snippex").write_text('#!/bin/sh\necho "$*"\nexit ${ENDED:-0}\n')
(fake / "snippex").chmod(0o755)
task = {
    "PATH": f"{fake}:/usr/bin:/bin", "SNIPPEX_DATABASE": "x", "SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10",
    "SLURM_ARRAY_TASK_COUNT": "5", "SLURM_CPUS_PER_TASK": "4",
}
for ended, expected in [("0", 0), ("1", 0), ("2", 1)]:
    run = subprocess.run([ROOT / "deploy/slurm/snippex-sweep.sh"], env=task | {"ENDED": ended}, capture_output=True, text=True, check=False)
    expect(run.returncode == expected, f"snippex-sweep.sh: ends with {run.returncode} when snippex ends with {ended}")
    expect(run.stdout.split() == "check --generated -e qemu-x86_64 --threads 4 --partition 3/5".split(), f"snippex-sweep.sh: {run.stdout}")

if problems:
    sys.exit("\n".join(f"error: {problem}" for problem in problems))
print("files for hosting: nothing is wrong")
