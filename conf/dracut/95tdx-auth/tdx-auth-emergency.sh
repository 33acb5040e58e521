#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Before the emergency shell. Sourced.

/usr/lib/tdx-auth/tdx-auth-panic
