"""The same run on Kubernetes: a JobSet, as JSON, which kubectl takes as it takes YAML.

    JobSet ─► slices (Jobs, one TPU slice each) ─► hosts (pods, one process each)
                                                    first: copies onto the node's disk; then: the run

A status that somebody must fix (2, 74) ends the JobSet; any other is the loss of a machine or of a
process, and all are started again.
"""

from __future__ import annotations

import os

from pod_file import Pod

# what a start again would not fix
FINAL = (1, 2, 74)


def make_jobset(pod: Pod) -> dict:
    """The manifest of a pod's file."""
    gke = pod.get_gke()
    selector = {
        "cloud.google.com/gke-tpu-accelerator": gke.accelerator,
        "cloud.google.com/gke-tpu-topology": gke.topology,
    }
    if pod.tier == "spot":
        selector["cloud.google.com/gke-spot"] = "true"
    labels = {"kueue.x-k8s.io/queue-name": gke.queue} if gke.queue else {}
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": gke.service_account,
        "nodeSelector": selector,
        # a spot node is taken away within half a minute
        "terminationGracePeriodSeconds": 25 if pod.tier == "spot" else 300,
        "initContainers": _make_copiers(pod),
        "containers": [_make_container(pod)],
        "volumes": _make_volumes(pod),
    }
    job = {
        "parallelism": gke.hosts,
        "completions": gke.hosts,
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(FINAL)}}
            ]
        },
        "template": {"spec": spec},
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": pod.name,
            "labels": labels,
            # each Job has a slice to itself
            "annotations": {
                "alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"
            },
        },
        "spec": {
            "failurePolicy": {
                "maxRestarts": gke.restarts,
                "rules": [
                    {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]},
                ],
            },
            "replicatedJobs": [
                {"name": "slice", "replicas": pod.slices, "template": {"spec": job}}
            ],
        },
    }


def _make_container(pod: Pod) -> dict:
    gke = pod.get_gke()
    mounts = [
        {"name": "disk", "mountPath": f"/sift_jax/{target}", "subPath": f"copies/{index}"}
        for index, target in enumerate(pod.copies)
    ]
    if pod.mount:
        mounts.append({"name": "shared", "mountPath": "/mnt/shared"})
    return {
        "name": "run",
        "image": gke.image,
        "workingDir": "/sift_jax",
        "command": ["python", "-m", "sift_jax.train", "--distributed", *pod.train],
        "env": [{"name": name, "value": value} for name, value in pod.environment.items()],
        # the coordinators of JAX, and of several slices
        "ports": [{"containerPort": 8471}, {"containerPort": 8080}, {"containerPort": 8476}],
        "resources": {"limits": {"google.com/tpu": gke.chips}},
        "volumeMounts": mounts,
    }


def _make_copiers(pod: Pod) -> list[dict]:
    """One container a copy, one after the other, before the run."""
    return [
        {
            "name": f"copy-{index}",
            "image": "gcr.io/google.com/cloudsdktool/google-cloud-cli:slim",
            "command": [
                *("gcloud", "storage", "rsync", "--recursive"),
                source if source.startswith("gs://") else f"{pod.bucket}/copies/{target}",
                "/copy",
            ],
            "volumeMounts": [{"name": "disk", "mountPath": "/copy", "subPath": f"copies/{index}"}],
        }
        for index, (target, source) in enumerate(pod.copies.items())
    ]


def _make_volumes(pod: Pod) -> list[dict]:
    volumes: list[dict] = [
        {"name": "disk", "emptyDir": {"sizeLimit": f"{pod.get_gke().disk_gb}Gi"}}
    ]
    if pod.mount:
        server, _, path = pod.mount.partition(":")
        volumes.append({"name": "shared", "nfs": {"server": server, "path": path}})
    return volumes


def list_kubectl(pod: Pod, action: str, manifest: str | os.PathLike) -> list[str]:
    """The words that do it."""
    return {
        "apply": ["kubectl", "apply", "-f", str(manifest)],
        "status": ["kubectl", "get", "jobset", pod.name, "-o", "json"],
        "logs": [
            *("kubectl", "logs", "--tail=50", "--prefix", "-c", "run"),
            *("-l", f"jobset.sigs.k8s.io/jobset-name={pod.name}"),
        ],
        "delete": ["kubectl", "delete", "jobset", pod.name],
    }[action]


def describe_jobset(found: dict) -> str:
    """What kubectl says of it, in one line."""
    status = found.get("status", {})
    for condition in status.get("conditions", []):
        if condition.get("status") == "True" and condition.get("type") in ("Completed", "Failed"):
            why = condition.get("message", "")
            return condition["type"] + (f" ({why})" if why else "")
    jobs = status.get("replicatedJobsStatus", [{}])[0]
    said = ", ".join(f"{jobs.get(key, 0)} {key}" for key in ("active", "ready", "failed"))
    return f"slices: {said}; {status.get('restarts', 0)} restarts"
