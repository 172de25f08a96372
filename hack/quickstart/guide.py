# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What to try next, as commands that can be copied. A test runs each of them."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from controller.llamastack.objects.kinds import MANAGED_BY_SELECTOR
from hack.quickstart.clusters import Cluster
from hack.root import ROOT
from tests.support.operator_process import OperatorProcess

SAMPLE = ROOT / "deploy" / "samples" / "v1alpha2-simple.yaml"
NAME = "simple"
SECRET = "vllm-credentials"
_OTHER_MODEL = '{"spec":{"resources":{"models":["meta-llama/Llama-3.1-8B-Instruct"]}}}'
_MISTAKE = '{"spec":{"resources":{"models":[{"name":"some-model","provider":"nobody"}]}}}'


def next_steps(cluster: Cluster, operator: OperatorProcess) -> str:
    """The text that is shown once the sample is Ready."""
    sample, python = shown(SAMPLE), shown(Path(sys.executable))
    exports = [f"export {name}={value}" for name, value in cluster.environment.items()]
    setting = "".join(f"  {line}\n" for line in exports)
    place = "" if cluster.namespace == "default" else f" -n {cluster.namespace}"
    return f"""\
{setting}
  kubectl get llsd{place} -o wide
  kubectl describe llsd{place} {NAME}
  kubectl get configmap,service,serviceaccount,deployment{place} -l {MANAGED_BY_SELECTOR}
  kubectl events{place} --for llamastackdistribution/{NAME}

  # Another model: a new ConfigMap appears, and the Deployment follows
  kubectl patch llsd{place} {NAME} --type merge -p '{_OTHER_MODEL}'
  kubectl get configmap,replicaset{place}

{_mistake(cluster, place)}\
  # Take the Secret away: the status says what is missing, what runs goes on; then bring it back
  kubectl delete secret{place} {SECRET}
  kubectl get llsd{place} {NAME} -o jsonpath='{{.status.conditions[?(@.type=="Ready")].message}}'
  kubectl create secret{place} generic {SECRET} --from-literal token=change-me

  # Without a cluster
  {python} -m llamastack_operator render -f {sample}
  {python} -m llamastack_operator validate -f {sample}

  metrics  {operator.metrics_url}
  log      {operator.log_file}
{_note(cluster)}""".rstrip()


def _mistake(cluster: Cluster, place: str) -> str:
    """Where the API server asks the operator."""
    if not cluster.ours:
        return ""
    return f"""\
  # A mistake is refused before it is stored, in words that name the field; in v1alpha1, too
  kubectl patch llsd{place} {NAME} --type merge -p '{_MISTAKE}'
  kubectl get llamastackdistributions.v1alpha1.llamastack.io{place} {NAME} -o yaml

"""


def left_behind(cluster: Cluster) -> str:
    """What stays in somebody's cluster, and how it goes."""
    place = "" if cluster.namespace == "default" else f" -n {cluster.namespace}"
    return f"""\
The sample, its server and the custom resource definition stay in the cluster. To remove them:

  kubectl delete{place} -f {shown(SAMPLE)}
  {shown(Path(sys.executable))} -m llamastack_operator uninstall"""


def shown(path: Path) -> str:
    """A path as one would type it here: relative, if it is below the current directory."""
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return shlex.quote(os.fspath(path))


def _note(cluster: Cluster) -> str:
    if not cluster.ours:
        return ""
    return """
The API server and the controllers are real; nodes and Pods are simulated: a Pod becomes Ready
without a container, so there are no logs of the server, and it answers no requests.
"""
