# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether external providers can be installed below a configuration. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from api.errors import FieldError
from api.v1alpha2.reasons import Reason
from api.validation import as_written
from configs import checks
from configs.errors import ConfigError, Findings
from configs.secrets import given_by_user
from controller.llamastack.objects.problem import Problem

if TYPE_CHECKING:
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.configuration import Configuration
    from controller.llamastack.render.inputs import Options
    from informers.ports import Object

NO_IMAGE: Final = (
    "the operator does not know its own image, which merges the configuration in the pod: run it "
    "in the cluster, or start it with --operator-image"
)


def installable(
    cr: Object, plan: Plan, configuration: Configuration, options: Options
) -> Configuration:
    """The configuration, or what keeps providers from being merged into it.

    Args:
        cr: the resource, at whose paths findings are.
        plan: for its spec.
        configuration: in its last form.
        options: what the operator knows of itself.
    """
    generated = configuration.generated
    if plan.cr is None or generated is None or not plan.cr.spec.installs_providers:
        return configuration
    if not options.merge_image:
        (error,) = as_written([FieldError("spec.externalProviders", NO_IMAGE)], cr)
        return replace(
            configuration, generated=None, problem=Problem(Reason.VALIDATION_FAILED, str(error))
        )
    if generated.source != "override":
        return configuration  # the engine looked at it
    findings = Findings()
    spec = plan.cr.spec
    variables = {variable.name for variable in generated.env}
    checks.external(
        spec, generated.era, variables | given_by_user(spec.workload.overrides.env), findings
    )
    try:
        findings.raise_errors()
    except ConfigError as error:
        text = "; ".join(str(each) for each in as_written(error.errors, cr))
        return replace(configuration, generated=None, problem=Problem(error.reason, text))
    return configuration
