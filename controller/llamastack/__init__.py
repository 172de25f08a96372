# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The controller of LlamaStackDistribution.

Four modules are the ways in: ``event_handlers`` (whom an event wakes), ``reconciler`` (one
reconcile), ``watches`` (what is watched, and the rights for it) and ``preview`` (the children of a
resource that is in no cluster). Everything else is in packages; each answers one question.

===================  ============================================================  ================
package              holds                                                         answers
===================  ============================================================  ================
``status``           conditions, phase, Events, endpoints, the outcome of a write  what we tell
``references``       Secrets, ConfigMaps and certificates: read, checked, hashed   what users made
``operator_config``  the administrator's ConfigMap                                 what they say
``planning``         spec → plan: base config, image labels, upgrades              what is wanted
``server``           the running server: where it is asked, what it answers        how it is
``external_providers``  providers out of images: how far their installation is     how they are
``cache``            reading the informers' stores; the index of references        what we hold
``children``         create, apply, remove; ConfigMaps, managed fields, replicas   what is written
``render``           children as plain dicts, purely                               what should be
``objects``          kinds, ownership, comparison, claims, pods, rollouts          what one is like
===================  ============================================================  ================

A package imports only what stands below its row; ``references`` and ``operator_config``,
``planning`` and ``server``, ``cache`` and ``children`` do not know each other (import-linter).
"""
