# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The words of the status that programs match on. They are API: never renamed, only added to.

Values are strings, so they go into a status as they are.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The state in one word, for people who look at ``kubectl get``. Programs read conditions."""

    PENDING = "Pending"
    """Seen, nothing running yet."""

    INITIALIZING = "Initializing"
    """Pods are starting or being replaced."""

    READY = "Ready"
    """Everything the spec asks for is true."""

    FAILED = "Failed"
    """Something needs a person; the conditions say what."""

    TERMINATING = "Terminating"
    """Being deleted."""


class ConditionType(StrEnum):
    """The stored conditions (R-D9)."""

    READY = "Ready"
    """Summary of the others; ``kubectl wait --for=condition=Ready`` works on it."""

    CONFIG_GENERATED = "ConfigGenerated"
    """A configuration for the current spec exists (or none is needed)."""

    SECRETS_RESOLVED = "SecretsResolved"
    """Every Secret and ConfigMap that the spec refers to exists, with its keys."""

    DEPLOYMENT_UPDATED = "DeploymentUpdated"
    """The Deployment carries the current image and configuration."""

    AVAILABLE = "Available"
    """At least one pod with the current configuration serves."""

    DEPLOYMENT_READY = "DeploymentReady"
    """All replicas that are wanted serve."""

    HEALTH_CHECK = "HealthCheck"
    """The server answers. Current servers do not tell more about their health."""

    SERVICE_READY = "ServiceReady"
    """The Service leads to the server, on the wanted port."""

    STORAGE_READY = "StorageReady"
    """The volume is bound. Only with ``workload.storage``."""

    EXTERNAL_PROVIDERS_READY = "ExternalProvidersReady"
    """External providers are installed. Only with ``externalProviders``."""


class Reason(StrEnum):
    """The reasons of conditions and of Events."""

    # Ready
    ALL_READY = "AllReady"
    PROGRESSING = "Progressing"
    RESOURCE_CONFLICT = "ResourceConflict"
    """An object of a needed name belongs to somebody else (R-D11)."""
    CROSS_NAMESPACE_REFERENCE = "CrossNamespaceReference"
    """A reference leaves the namespace, and the operator does not allow that (R-D12)."""
    VALIDATION_FAILED = "ValidationFailed"
    RECONCILE_FAILED = "ReconcileFailed"
    DELETING = "Deleting"
    WAITING_FOR_DELETION = "WaitingForDeletion"
    """An older object of a needed name is on its way out."""
    STATUS_REFUSED = "StatusRefused"
    """An Event: the stored resource breaks its own schema, so its status cannot be written."""
    NOT_EVALUATED = "NotEvaluated"
    """No reconcile got as far as this condition yet; its status is Unknown."""

    # ConfigGenerated
    CONFIG_GENERATED = "ConfigGenerated"
    DISTRIBUTION_DEFAULT = "DistributionDefault"
    """The image's own configuration runs unchanged (R-D13)."""
    OVERRIDE_CONFIG = "OverrideConfig"
    """The user's ConfigMap runs unchanged."""
    CONFIG_GENERATION_FAILED = "ConfigGenerationFailed"
    UNSUPPORTED_CONFIG_VERSION = "UnsupportedConfigVersion"
    BASE_CONFIG_REQUIRED = "BaseConfigRequired"
    MISSING_PROVIDER_FOR_RESOURCE = "MissingProviderForResource"
    IMAGE_CONFIG_PENDING = "ImageConfigPending"
    """The labels of the image are being read."""
    IMAGE_CONFIG_UNAVAILABLE = "ImageConfigUnavailable"
    """The registry did not show the labels of the image."""
    UPGRADE_CONFIG_FAILURE = "UpgradeConfigFailure"
    """What was generated before an upgrade of the operator cannot be generated after it."""

    # SecretsResolved
    SECRETS_RESOLVED = "SecretsResolved"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a word of the API, not a secret
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"  # noqa: S105  # likewise
    SECRET_VALUE_NOT_USABLE = "SecretValueNotUsable"  # noqa: S105  # likewise
    """The server would read the value as a number or a boolean and die (R-D16)."""
    SECRET_RESOLUTION_FAILED = "SecretResolutionFailed"  # noqa: S105  # likewise
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    CONFIG_MAP_KEY_NOT_FOUND = "ConfigMapKeyNotFound"
    CA_BUNDLE_NOT_USABLE = "CABundleNotUsable"
    """What is named as a list of trusted certificates is none."""
    CA_BUNDLE_QUESTIONABLE = "CABundleQuestionable"
    """An Event: a trusted certificate expired, or was left out because it cannot be read."""

    # DeploymentUpdated, DeploymentReady, Available
    DEPLOYMENT_UPDATED = "DeploymentUpdated"
    DEPLOYMENT_NOT_UPDATED = "DeploymentNotUpdated"
    DEPLOYMENT_READY = "DeploymentReady"
    DEPLOYMENT_PENDING = "DeploymentPending"
    DEPLOYMENT_FAILED = "DeploymentFailed"
    REGISTRY_RESET = "RegistryReset"
    """An Event: something registered changed, so the server starts with a new registry (R-D16c)."""
    MINIMUM_REPLICAS_AVAILABLE = "MinimumReplicasAvailable"
    MINIMUM_REPLICAS_UNAVAILABLE = "MinimumReplicasUnavailable"
    SCALED_TO_ZERO = "ScaledToZero"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOP = "CrashLoop"
    OUT_OF_MEMORY = "OutOfMemory"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    """The kubelet cannot make a container, e.g. for want of a key in a ConfigMap."""
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    VOLUME_PENDING = "VolumePending"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    ROLLOUT_PAUSED = "RolloutPaused"
    """Somebody paused the rollouts of the Deployment, and the pods have an old template."""
    POD_NOT_TERMINATED = "PodNotTerminated"
    """New pods wait for an old one that was deleted and does not go."""
    AUTOSCALING_OFF = "AutoscalingOff"
    """Somebody scaled to zero what an autoscaler is asked for, which switches that off."""

    # HealthCheck, ServiceReady, StorageReady
    HEALTH_CHECK_PASSED = "HealthCheckPassed"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    HEALTH_CHECK_PENDING = "HealthCheckPending"
    SERVICE_READY = "ServiceReady"
    SERVICE_NOT_READY = "ServiceNotReady"
    """The Service exists, but with another port, target or selector than is wanted."""
    NETWORK_POLICY_OFF = "NetworkPolicyOff"
    """An Event: the resource says who may connect, and policies are switched off."""
    STORAGE_READY = "StorageReady"
    STORAGE_PENDING = "StoragePending"
    STORAGE_RESIZING = "StorageResizing"
    STORAGE_CHANGE_REFUSED = "StorageChangeRefused"
    """The spec asks for what a claim cannot become; the claim was left as it is."""
    STORAGE_FAILED = "StorageFailed"

    # ExternalProvidersReady
    ALL_PROVIDERS_READY = "AllProvidersReady"
    PROVIDERS_PENDING = "ProvidersPending"
    PROVIDERS_INSTALLING = "ProvidersInstalling"
    PROVIDER_INSTALL_FAILED = "ProviderInstallFailed"
    PROVIDER_IMAGE_PULL_FAILED = "ProviderImagePullFailed"
    CONFIG_MERGE_FAILED = "ConfigMergeFailed"
    PREFLIGHT_FAILED = "PreflightFailed"
    PREFLIGHT_SKIPPED = "PreflightSkipped"
    """An Event: the user says what runs, so providers are not loaded before it."""


class ConfigSource(StrEnum):
    """Where the base configuration of the server comes from."""

    EMBEDDED = "embedded"
    """The operator's own copy for the named distribution."""

    OCI_LABEL = "oci-label"
    """Labels of the image."""

    OVERRIDE = "override"
    """The user's ConfigMap, whole."""

    DEFAULT = "default"
    """The image's own file; nothing is generated."""


class InstallPhase(StrEnum):
    """How far an external provider is."""

    PENDING = "Pending"
    """Its init container has not started."""

    INSTALLING = "Installing"
    """Its init container runs."""

    READY = "Ready"
    """Installed."""

    FAILED = "Failed"
    """The message says why."""
