# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What users are told when a rule is broken, once for all who tell them.

The CRD's CEL rules, the ValidatingAdmissionPolicy and ``api.validation`` take their texts from
here and put the field path before it, so the same mistake reads the same wherever it is noticed.
A text is read after a path and a colon; ``{...}`` are filled by Python, and by the policy in CEL.
"""

from typing import Final

# --- said by the CRD and by validation -----------------------------------------------------------
NAME_TOO_LONG: Final = (
    "must have at most 48 characters, because the names of Deployment, Service and others "
    "are made from it"
)
NAME_WITH_DOTS: Final = (
    "must not contain dots, because the names of Deployment, Service and others are made from it"
)
ONE_SOURCE: Final = "exactly one of name and image must be set"
WITH_OVERRIDE: Final = (
    "cannot be combined with spec.overrideConfig, which replaces the whole configuration"
)
REDIS_ENDPOINT: Final = "is required when the type is redis"
POSTGRES_CONNECTION: Final = "is required when the type is postgres"
TLS_CERTIFICATE: Final = "is required when TLS is enabled"
MIN_ABOVE_MAX: Final = "must not be greater than maxReplicas"
ONE_BUDGET: Final = "exactly one of minAvailable and maxUnavailable must be set"
ENV_VALUE: Final = "value and valueFrom cannot be combined"
ONE_POD_ONLY: Final = "ReadWriteOncePod cannot be combined with other modes"
EXTERNAL_ID_ELSEWHERE: Final = "a providerId is used in another section, too"

# --- said by the policy and by validation --------------------------------------------------------
ONE_OR_LIST: Final = "must be an object or a list of objects"
OBJECT: Final = "must be an object"
STRING: Final = "must be a string"
REQUIRED: Final = "is required"
ID_REQUIRED: Final = "is required on every provider of a list with more than one"
ID_TWICE: Final = 'provider id "{id}" is used more than once: {paths}'
A_URL: Final = "a URL such as http://vllm:8000/v1"
REFERENCE: Final = "must be {secretKeyRef: {name, key}}"
CONFIGURED_AND_DISABLED: Final = '"{api}" is configured and disabled at the same time: {paths}'
BEDROCK_REGION: Final = 'is required for provider "bedrock"'
AZURE_DEPLOYMENT: Final = 'is required for provider "azure"'
NAME_OR_MODEL: Final = "must be the name of a model or an object with a name"
BOOLEAN: Final = "must be a boolean"
SWITCH: Final = "must be a boolean or an object"

# --- said by validation only ---------------------------------------------------------------------
NAME_NOT_A_LABEL: Final = (
    "must be lower case letters, digits and '-', with a letter or digit at each end"
)
NO_SIZE: Final = "must be more than 0"
SAME_VARIABLE: Final = "needs the environment variable {name}, which {path} needs for another value"
EXTERNAL_ID_TWICE: Final = (
    'duplicate providerId "{id}": found in {first} (image {image}) and {here} (image {other})'
)

# --- warnings ------------------------------------------------------------------------------------
EXTERNAL_WINS: Final = "overrides the provider of the same id in {path}"
IGNORED_FOR: Final = "has no effect when the type is {type}"
PRINTED_AT_START: Final = (
    "becomes part of the address of redis, because no release of the server has a field for it;"
    " the server prints it when it starts"
)
SCALED_ON_SQLITE: Final = (
    "sqlite cannot be shared: each pod has its own state, and workers lock each other out; use"
    " redis or postgres in spec.storage"
)
SCALED_ON_DEFAULT_STORAGE: Final = (
    "the distribution's own storage is sqlite unless it says otherwise, and sqlite cannot be"
    " shared; set redis or postgres in spec.storage"
)
SCALED_ON_ONE_NODE: Final = (
    "a volume with ReadWriteOnce serves pods on one node only, and further pods wait for it; use"
    " ReadWriteMany, if the class offers that, or one replica"
)
SCALED_ON_ONE_POD: Final = (
    "a volume with ReadWriteOncePod serves one pod only, and further pods wait for it"
)
READ_ONLY: Final = "lets no pod write, but the server writes files"
TLS_NOT_ENABLED: Final = "has no effect, because spec.networking.tls.enabled is not true"
OTHER_NAMESPACE: Final = (
    'names the namespace "{namespace}", which works only if the operator runs with'
    " --allow-cross-namespace-config"
)
TOO_MANY_VALUES: Final = "has more than {most} values, which nobody looks at"
NOT_READABLE: Final = (
    "is not what the operator writes there, a list of changes; what of it cannot be read is"
    " ignored, and what it held is gone"
)
NOT_KEPT: Final = "is dropped, because it does not go with the fields that are there now"
