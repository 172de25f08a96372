#!/bin/sh
# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# The contract of the upstream images' entrypoint: a config file, else a distribution by name; the
# container's arguments are handed on, and the port is the program's own affair (LLAMA_STACK_PORT).
set -e

if [ -n "$RUN_CONFIG_PATH" ] && [ -f "$RUN_CONFIG_PATH" ]; then
    exec llama stack run "$RUN_CONFIG_PATH" "$@"
fi
if [ -n "$DISTRO_NAME" ]; then
    exec llama stack run "$DISTRO_NAME" "$@"
fi
exec llama stack run "$@"
