/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#define SHA256_TEXT_SIZE 65 /* in hexadecimal, with the NUL */

/* The SHA-256 of @size bytes (FIPS 180-4), for telling whether two texts are the same: what is
 * compared is no secret. */
void sha256_text(const void *data, size_t size, char ret[static SHA256_TEXT_SIZE]);
