#!/bin/sh
# SPDX-License-Identifier: ISC
# The check of the layers finds what is planted for it.
exec python3 -B "$(dirname "$0")/layers.py" --self-test
