/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Policies and devices over so few words that much matches, in all ways that there are. By rand(3):
 * a test that wants the same again calls srand(3). */

unsigned draw(unsigned n);

/* A policy that is not indexed, of at most @n_rules rules. */
struct Policy *random_policy(unsigned n_rules);

/* A device with up to @depth others above it. */
struct Device *random_device(unsigned depth);
