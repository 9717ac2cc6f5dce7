#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What CI runs, before you push. --quick: the release build, its tests and checks only.
exec "$(dirname "$0")/test.sh" "$@"
